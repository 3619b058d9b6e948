#!lua
-- requeue: brings a failed or cancelled task back, with fresh budgets. The attempt number goes on.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] failed
-- KEYS[6] cancelled
-- KEYS[7] task_prefix
-- KEYS[8] paused
-- ARGV[1] id
-- ARGV[2] delay in ms
-- RETURNS the status the task had, or '' when there is none
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local failed, cancelled, task_prefix, paused = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, delay = ARGV[1], tonumber(ARGV[2])
local key = task_prefix .. id
-- include now aside push
local record = redis.pcall('HMGET', key, 'status', 'priority')
if record.err or not record[1] then
  return ''
end
if record[1] == 'failed' or record[1] == 'cancelled' then
  redis.call('ZREM', record[1] == 'failed' and failed or cancelled, id)
  redis.call('HSET', key, 'retries', 0, 'crashes', 0, 'settled', 'requeue', 'updated_at', now)
  redis.call('HDEL', key, 'finished_at', 'cancel_reason', 'cancel_at')
  if delay > 0 then
    redis.call('HSET', key, 'status', 'scheduled', 'run_at', now + delay)
    redis.call('ZADD', scheduled, now + delay, id)
  else
    redis.call('HSET', key, 'status', 'pending', 'ready_at', now)
    push(record[2], id, false)
  end
end
return record[1]
