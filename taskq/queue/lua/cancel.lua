#!lua flags=allow-oom
-- cancel: ends a task that has not ended. A running attempt is told to stop and cannot write any more.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] completed
-- KEYS[6] failed
-- KEYS[7] cancelled
-- KEYS[8] task_prefix
-- KEYS[9] processing_prefix
-- KEYS[10] stops
-- KEYS[11] paused
-- KEYS[12] limits
-- KEYS[13] leases
-- KEYS[14] stats
-- ARGV[1] id
-- ARGV[2] reason
-- ARGV[3] detail of the error as JSON
-- ARGV[4] token of this call, the same when it is repeated
-- ARGV[5] only: the status it must have, or ''
-- ARGV[6] upto: the moment in ms after which it must not have ended, or ''
-- RETURNS the status the task had, '' when there is none, 'spared' when it does not fit
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local completed, failed, cancelled = KEYS[5], KEYS[6], KEYS[7]
local task_prefix, processing_prefix, stops, paused = KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local limits, leases, stats = KEYS[12], KEYS[13], KEYS[14]
local id, reason, detail, token, only, upto = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key = task_prefix .. id
-- include now aside gone unlist unpark withdraw asked spared wake tally attempts
local record = redis.pcall('HMGET', key, 'status', 'priority', 'worker_id', 'attempt', 'awaited', 'turn', 'type',
  'ready_at', 'started_at')
if record.err or not record[1] then
  return ''
end
local before = asked_before()
if before then
  return before
elseif spared(record[1]) then
  return 'spared'
end
if record[1] == 'pending' or record[1] == 'scheduled' or record[1] == 'processing' then
  withdraw(id, record, 'cancelled')
  if record[1] == 'processing' then
    tally_attempt('cancel', record[7], record[8], record[9])
  else
    tally('withdraw', 'end', record[7], 1)
  end
  redis.call('HSET', key, 'status', 'cancelled', 'settled', 'cancel', 'cancel_reason', reason, 'cancel_at', now,
    'error', reason, 'error_detail', detail, 'finished_at', now, 'updated_at', now)
  redis.call('HDEL', key, 'run_at')
  redis.call('ZADD', cancelled, now, id)
  note_asked(record[1])
  wake(id, record[5])
end
return record[1]
