#!lua flags=allow-oom
-- retry: schedules another attempt after a failed one and counts one retry.
-- KEYS[1] processing of the worker that ran it
-- KEYS[2] task_prefix
-- KEYS[3] scheduled
-- KEYS[4] pending
-- KEYS[5] limits
-- KEYS[6] stats
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- ARGV[4] delay in ms
-- ARGV[5] error
-- ARGV[6] detail of the error as JSON
-- RETURNS {'ok'} or {'stale'}
local processing, task_prefix, scheduled = KEYS[1], KEYS[2], KEYS[3]
local pending, limits, stats = KEYS[4], KEYS[5], KEYS[6]
local worker_id, id, attempt, delay = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local err, detail = ARGV[5], ARGV[6]
local key = task_prefix .. id
local verb = 'retry'
-- include now tally attempts fence
if verdict == 'ok' then
  redis.call('HSET', key, 'status', 'scheduled', 'settled', 'retry', 'error', err, 'error_detail', detail,
    'run_at', now + delay, 'updated_at', stamp)
  redis.call('HINCRBY', key, 'retries', 1)
  redis.call('ZADD', scheduled, now + delay, id)
end
return {verdict == 'stale' and 'stale' or 'ok'}
