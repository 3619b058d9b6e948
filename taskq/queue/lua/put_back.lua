#!lua flags=allow-oom
-- put_back: puts back what a worker has claimed after the task that it runs, in the order in which it would have run. What it
-- claimed before has run: its result is on its way.
-- Nothing is counted. Only for somebody who has taken these claims from that worker, as long as the task runs, since what the
-- worker claims afterwards is its own again; and for the worker itself while it runs none.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of that worker
-- KEYS[5] task_prefix
-- KEYS[6] paused
-- KEYS[7] limits
-- ARGV[1] worker_id
-- ARGV[2] running: the id of the task that it runs, or '' for none
-- ARGV[3] attempt of that task
-- RETURNS id, attempt and type of each task that was put back
local pending, high, low, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local task_prefix, paused, limits = KEYS[5], KEYS[6], KEYS[7]
local worker_id, running, attempt = ARGV[1], ARGV[2], ARGV[3]
local verb = 'release'
-- include now aside ring push room park back
local reply, before = {}, 0
if running ~= '' then
  before = redis.call('LPOS', processing, running) or 0
  if before == 0 or redis.call('HGET', task_prefix .. running, 'attempt') ~= attempt then
    return reply
  end
end
for _, id in ipairs(redis.call('LRANGE', processing, 0, before - 1)) do -- the newest first, so that the oldest comes to lie at the head
  local key = task_prefix .. id
  local record = claim_at(key)
  if not record.err and record[1] == 'processing' and record[2] == worker_id then
    redis.call('LREM', processing, 1, id)
    give_back(id, key, record)
    for _, value in ipairs({id, record[4], record[5]}) do
      reply[#reply + 1] = value
    end
  end
end
return reply
