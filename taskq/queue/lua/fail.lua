#!lua flags=allow-oom
-- fail: ends a task as failed (the dead letter).
-- KEYS[1] processing of the worker that ran it
-- KEYS[2] task_prefix
-- KEYS[3] failed
-- KEYS[4] pending
-- KEYS[5] limits
-- KEYS[6] stats
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- ARGV[4] error
-- ARGV[5] detail of the error as JSON
-- RETURNS {'ok'} or {'stale'}
local processing, task_prefix, failed = KEYS[1], KEYS[2], KEYS[3]
local pending, limits, stats = KEYS[4], KEYS[5], KEYS[6]
local worker_id, id, attempt, err, detail = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = task_prefix .. id
local verb = 'fail'
-- include now tally attempts fence wake
if verdict == 'ok' then
  redis.call('HSET', key, 'status', 'failed', 'settled', 'fail', 'error', err, 'error_detail', detail,
    'finished_at', stamp, 'updated_at', stamp)
  redis.call('ZADD', failed, stamp, id)
  wake(id, awaited)
end
return {verdict == 'stale' and 'stale' or 'ok'}
