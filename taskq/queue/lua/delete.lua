#!lua flags=allow-oom
-- delete: removes a task for good, whatever its state. A running attempt is told to stop and cannot write any more.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] completed
-- KEYS[6] failed
-- KEYS[7] cancelled
-- KEYS[8] tasks
-- KEYS[9] task_prefix
-- KEYS[10] processing_prefix
-- KEYS[11] stops
-- KEYS[12] unreadable
-- KEYS[13] paused
-- KEYS[14] expiring
-- KEYS[15] unique_prefix
-- KEYS[16] output_prefix
-- KEYS[17] limits
-- KEYS[18] leases
-- KEYS[19] stats
-- ARGV[1] id
-- ARGV[2] only: the status it must have, or ''
-- ARGV[3] upto: the moment in ms after which it must not have ended, or ''
-- RETURNS the status the task had, '' when there is none, 'spared' when it does not fit
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local completed, failed, cancelled, tasks = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local task_prefix, processing_prefix, stops, unreadable = KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local paused, expiring, unique_prefix, output_prefix, limits = KEYS[13], KEYS[14], KEYS[15], KEYS[16], KEYS[17]
local leases, stats = KEYS[18], KEYS[19]
local id, only, upto = ARGV[1], ARGV[2], ARGV[3]
local key = task_prefix .. id
-- include now aside gone unlist unpark withdraw forget spared wake tally attempts
local record = redis.pcall('HMGET', key, 'status', 'priority', 'worker_id', 'attempt', 'awaited', 'turn', 'type',
  'ready_at', 'started_at')
if not record.err and not record[1] then
  return ''
elseif not record.err and spared(record[1]) then
  return 'spared'
end
if not record.err then
  withdraw(id, record, 'deleted')
  if record[1] == 'processing' then
    tally_attempt('delete', record[7], record[8], record[9])
  end
end
forget(id)
wake(id, record[5])
redis.call('ZREM', unreadable, id)
return record.err and 'unreadable' or record[1]
