#!lua flags=allow-oom
-- watch: shows a task that has ended. The end of one that has not will put an entry into the list `:task:<id>:wake`.
-- KEYS[1] task_prefix
-- ARGV[1] id
-- ARGV[2] woken: '1' when the caller took an entry from that list, for which others may wait too, else '0'
-- RETURNS fields and values of the record; {} while the task has not ended; nil when there is none that can be read
local task_prefix = KEYS[1]
local id, woken = ARGV[1], ARGV[2]
local key = task_prefix .. id
-- include wake
local record = redis.pcall('HMGET', key, 'status')
if record.err then
  return nil
end
local status = record[1]
if status and status ~= 'completed' and status ~= 'failed' and status ~= 'cancelled' then
  redis.call('HSET', key, 'awaited', '1')
  return {}
end
wake(id, woken == '1')
return status and redis.call('HGETALL', key)
