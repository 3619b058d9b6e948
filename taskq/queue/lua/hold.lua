#!lua flags=allow-oom
-- hold: pauses a schedule; its ticks pass without effect. Repeating it keeps the moment and takes the new reason.
-- KEYS[1] schedule that ticks
-- ARGV[1] reason
-- RETURNS since when it is paused, in ms
local schedule = KEYS[1]
local reason = ARGV[1]
-- include now
redis.call('HSETNX', schedule, 'paused_at', now)
redis.call('HSET', schedule, 'paused_reason', reason)
return redis.call('HGET', schedule, 'paused_at')
