#!lua
-- requeue: brings a failed or cancelled task back, with fresh budgets. The attempt number goes on. Not while another task
-- holds its unique key.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] failed
-- KEYS[6] cancelled
-- KEYS[7] task_prefix
-- KEYS[8] paused
-- KEYS[9] expiring
-- KEYS[10] unique_prefix
-- ARGV[1] id
-- ARGV[2] delay in ms
-- ARGV[3] token of this call, the same when it is repeated
-- ARGV[4] only: the status it must have, or ''
-- ARGV[5] upto: the moment in ms after which it must not have ended, or ''
-- RETURNS the status the task had, '' when there is none, 'spared' when it does not fit; its unique key and the id of another task that holds it, or '' and ''
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local failed, cancelled, task_prefix = KEYS[5], KEYS[6], KEYS[7]
local paused, expiring, unique_prefix = KEYS[8], KEYS[9], KEYS[10]
local id, delay, token, only, upto = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local key = task_prefix .. id
-- include now aside ring push gone rejoin unique asked spared
local record = redis.pcall('HMGET', key, 'status', 'priority', 'unique_key', 'expires_in')
if record.err or not record[1] then
  return {'', '', ''}
end
local before = asked_before()
if before or spared(record[1]) then
  return {before or 'spared', '', ''}
end
local ended = record[1] == 'failed' or record[1] == 'cancelled'
local holder = ended and record[3] and holder_of(record[3], id)
if holder then
  return {record[1], record[3], holder}
end
if ended then
  note_asked(record[1])
  redis.call('ZREM', record[1] == 'failed' and failed or cancelled, id)
  redis.call('HSET', key, 'retries', 0, 'crashes', 0, 'settled', 'requeue', 'updated_at', now)
  redis.call('HDEL', key, 'finished_at', 'cancel_reason', 'cancel_at', 'turn')
  if delay > 0 then
    redis.call('HSET', key, 'status', 'scheduled', 'run_at', now + delay)
    redis.call('ZADD', scheduled, now + delay, id)
  else
    redis.call('HSET', key, 'status', 'pending', 'ready_at', now)
    rejoin(record[2], id)
  end
  if record[3] then
    hold(record[3], id)
  end
  if record[4] then
    redis.call('HSET', key, 'expires_at', now + delay + record[4])
    redis.call('ZADD', expiring, now + delay + record[4], id)
  end
end
return {record[1], '', ''}
