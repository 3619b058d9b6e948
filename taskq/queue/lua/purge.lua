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
-- ARGV[1] most: entries to look at
-- RETURNS how many tasks were removed, and how many entries are left
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tasks, task_prefix, unreadable, paused = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local expiring, unique_prefix, output_prefix = KEYS[9], KEYS[10], KEYS[11]
local most = tonumber(ARGV[1])
-- include aside push forget wake

local function taken()
  for _, list in ipairs({high, low, pending}) do -- those with a bell in `pending` first
    local ids = redis.call('RPOP', list, most)
    if ids then
      return ids
    end
  end
  local ids = redis.call('ZRANGE', scheduled, 0, most - 1)
  if #ids > 0 then
    redis.call('ZREM', scheduled, unpack(ids))
  end
  return ids
end

local removed = 0
for _, id in ipairs(taken()) do
  local record = redis.pcall('HMGET', task_prefix .. id, 'status', 'awaited')
  -- an entry that a finished task has left behind is dropped, the task stays; an unreadable record goes
  if record.err or record[1] == 'pending' or record[1] == 'scheduled' then
    removed = removed + forget(id)
    redis.call('ZREM', unreadable, id)
    wake(id, record[2])
  end
end
local others = redis.call('LLEN', high) + redis.call('LLEN', low)
if others > 0 then
  ring() -- the bell for them may have been among the entries
end
return {removed, others + redis.call('LLEN', pending) + redis.call('ZCARD', scheduled)}
