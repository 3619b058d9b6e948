#!lua flags=allow-oom
-- trim: removes tasks that ended longer ago than they are kept, in batches.
-- KEYS[1] ended: completed, failed or cancelled
-- KEYS[2] tasks
-- KEYS[3] task_prefix
-- KEYS[4] expiring
-- KEYS[5] unique_prefix
-- KEYS[6] output_prefix
-- ARGV[1] kept: how long they are kept, in ms
-- ARGV[2] most: tasks to remove
-- RETURNS how many were removed
local ended, tasks, task_prefix = KEYS[1], KEYS[2], KEYS[3]
local expiring, unique_prefix, output_prefix = KEYS[4], KEYS[5], KEYS[6]
local kept, most = tonumber(ARGV[1]), ARGV[2]
-- include now forget
local old = redis.call('ZRANGEBYSCORE', ended, '-inf', now - kept, 'LIMIT', 0, most)
for _, id in ipairs(old) do
  forget(id)
  redis.call('ZREM', ended, id)
end
return #old
