#!lua flags=allow-oom
-- release: puts a started task back at the head of its queue; neither a retry nor a crash is counted.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of the worker that ran it
-- KEYS[5] task_prefix
-- KEYS[6] paused
-- KEYS[7] limits
-- KEYS[8] stats
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- RETURNS {'ok'} or {'stale'}
local pending, high, low, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local task_prefix, paused, limits, stats = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local worker_id, id, attempt = ARGV[1], ARGV[2], ARGV[3]
local key = task_prefix .. id
local verb = 'release'
-- include now aside ring push room park back tally attempts fence
if verdict == 'ok' then
  give_back(id, key, claim_at(key))
end
return {verdict == 'stale' and 'stale' or 'ok'}
