#!lua flags=allow-oom
-- crash: takes a task back from an attempt whose own process died while its worker lives. Counts one crash and puts the task
-- back at the head of its queue, or fails it at the crash limit.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of the worker that ran it
-- KEYS[5] task_prefix
-- KEYS[6] failed
-- KEYS[7] paused
-- KEYS[8] limits
-- KEYS[9] stats
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- ARGV[4] max_crashes
-- ARGV[5] error
-- ARGV[6] detail of the error as JSON
-- RETURNS {'ok'} or {'stale'}
local pending, high, low, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local task_prefix, failed, paused, limits, stats = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local worker_id, id, attempt, max_crashes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local err, detail = ARGV[5], ARGV[6]
local key = task_prefix .. id
local verb = 'crash'
-- include now aside ring push room park back wake tally attempts crash fence
if verdict == 'ok' then
  count_crash(id, key, claim_at(key))
end
return {verdict == 'stale' and 'stale' or 'ok'}
