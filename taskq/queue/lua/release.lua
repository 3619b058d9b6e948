#!lua flags=allow-oom
-- release: puts a started task back at the head of its queue; neither a retry nor a crash is counted.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of the worker that ran it
-- KEYS[5] task_prefix
-- KEYS[6] paused
-- KEYS[7] limits
-- KEYS[8] stats
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- RETURNS {'ok'} or {'stale'}
local pending, high, low, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local task_prefix, paused, limits, stats = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local worker_id, id, attempt = ARGV[1], ARGV[2], ARGV[3]
local key = task_prefix .. id
-- include now aside ring push room park vacate tally fence
local verdict = fence('release')
if verdict == 'ok' then
  redis.call('HSET', key, 'status', 'pending', 'settled', 'release', 'ready_at', now, 'updated_at', now)
  local record = redis.call('HMGET', key, 'priority', 'turn', 'type')
  if record[2] then -- its turn among those of its limited type
    park(id, record[3], score_of(record[1], record[2]))
  else
    push(record[1], id, true)
  end
end
return {verdict == 'stale' and 'stale' or 'ok'}
