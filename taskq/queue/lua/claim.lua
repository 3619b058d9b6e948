#!lua flags=allow-oom
-- claim: takes the next task of the queue into the worker's own list and starts it, without waiting.
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
-- ARGV[1] worker_id
-- RETURNS {'task', id, attempt, type, payload, retries, max_retry, crashes, timeout_ms, tags and, behind a space, trace}, {'idle'},
--         {'again'} or {'lapsed'}; then id, attempt and type of each task that expired meanwhile
local pending, high, low, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leases, task_prefix, unreadable, failed = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local limits, paused, stats = KEYS[9], KEYS[10], KEYS[11]
local worker_id = ARGV[1]
-- include now ring wake tally claim
return claimed
