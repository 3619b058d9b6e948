#!lua flags=allow-oom
-- release: puts a started task back at the head of its queue; neither a retry nor a crash is counted.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of the worker that ran it
-- KEYS[5] task_prefix
-- KEYS[6] paused
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- RETURNS {'ok'} or {'stale'}
local pending, high, low, processing, task_prefix, paused = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local worker_id, id, attempt = ARGV[1], ARGV[2], ARGV[3]
local key = task_prefix .. id
-- include now aside push fence
local verdict = fence('release')
if verdict == 'ok' then
  redis.call('HSET', key, 'status', 'pending', 'settled', 'release', 'ready_at', now, 'updated_at', now)
  push(redis.call('HGET', key, 'priority'), id, true)
end
return {verdict == 'stale' and 'stale' or 'ok'}
