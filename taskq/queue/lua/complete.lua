#!lua flags=allow-oom
-- complete: stores the result of an attempt, then claims the next task in the same trip.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of this worker
-- KEYS[5] leases
-- KEYS[6] task_prefix
-- KEYS[7] unreadable
-- KEYS[8] failed
-- KEYS[9] limits
-- KEYS[10] paused
-- KEYS[11] stats
-- KEYS[12] completed
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- ARGV[4] result as JSON
-- ARGV[5] claim_next: '1' or '0'
-- RETURNS 'ok' or 'stale', then what claim returns when asked to claim
local pending, high, low, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leases, task_prefix, unreadable = KEYS[5], KEYS[6], KEYS[7]
local failed, limits, paused = KEYS[8], KEYS[9], KEYS[10]
local stats, completed = KEYS[11], KEYS[12]
local worker_id, id, attempt, result, claim_next = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = task_prefix .. id
local verb = 'complete'
-- include now ring wake tally attempts fence
if verdict == 'ok' then
  -- include finish
  redis.call('ZADD', completed, stamp, id)
end
verdict = verdict == 'stale' and 'stale' or 'ok'
if claim_next == '0' then
  return {verdict}
end
-- include claim
return {verdict, unpack(claimed)}
