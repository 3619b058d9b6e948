#!lua flags=allow-oom
-- unhold: lets a paused schedule tick again from now on; the ticks of the pause are not caught up on.
-- KEYS[1] schedule that ticks
-- RETURNS 1 if it was paused, else 0
local schedule = KEYS[1]
-- include now
local was_paused = redis.call('HDEL', schedule, 'paused_at', 'paused_reason') > 0
if was_paused then
  redis.call('HSET', schedule, 'tick', math.max(now, tonumber(redis.call('HGET', schedule, 'tick') or 0)))
end
return was_paused and 1 or 0
