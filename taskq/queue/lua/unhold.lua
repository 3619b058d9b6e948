#!lua flags=allow-oom
-- unhold: lets a paused schedule tick again from now on; the ticks of the pause are not caught up on.
-- KEYS[1] schedule that ticks
-- ARGV[1] token of this call, the same when it is repeated
-- RETURNS 1 if it was paused, else 0
local schedule = KEYS[1]
local token = ARGV[1]
local key = schedule
-- include now asked
if asked_before() then
  return 1
end
local was_paused = redis.call('HDEL', schedule, 'paused_at', 'paused_reason') > 0
if was_paused then
  note_asked('paused')
  redis.call('HSET', schedule, 'tick', math.max(now, tonumber(redis.call('HGET', schedule, 'tick') or 0)))
end
return was_paused and 1 or 0
