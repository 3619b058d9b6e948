#!lua flags=allow-oom
-- purge: removes tasks that wait for a worker or for their moment, for good and in batches. What runs goes on.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] tasks
-- KEYS[6] task_prefix
-- KEYS[7] unreadable
-- KEYS[8] paused
-- KEYS[9] expiring
-- KEYS[10] unique_prefix
-- KEYS[11] output_prefix
-- KEYS[12] limits
-- KEYS[13] reply_prefix
-- ARGV[1] most: entries to look at
-- ARGV[2] token of this call, the same when it is repeated
-- RETURNS how many tasks were removed, and how many entries are left
local pending, high, low, scheduled, tasks, task_prefix = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local unreadable, paused, expiring, unique_prefix, output_prefix, limits = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local reply_prefix = KEYS[13]
local most, token = tonumber(ARGV[1]), ARGV[2]
-- include aside ring forget wake told dropped taken
local before = told_before()
if before then
  return before
end

local removed = 0
for _, id in ipairs(taken()) do
  local record = redis.pcall('HMGET', task_prefix .. id, 'status', 'awaited')
  -- an entry that a finished task has left behind is dropped, the task stays; an unreadable record goes
  if record.err or record[1] == 'pending' or record[1] == 'scheduled' then
    removed = removed + forget(id)
    redis.call('ZREM', unreadable, id)
    wake(id, record[2])
  else
    dropped(id)
  end
end
local left = redis.call('LLEN', high) + redis.call('LLEN', low)
if left > 0 then
  ring() -- the bell for them may have been among the entries
end
for _, set in ipairs(sets) do
  left = left + redis.call('ZCARD', set)
end
local reply = {removed, left + redis.call('LLEN', pending)}
return removed > 0 and tell(reply) or reply
