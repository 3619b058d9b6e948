#!lua flags=allow-oom
-- install: gets a schedule going. With the line that is known, its ticks go on after the last one that was dealt with; with
-- another line they begin now.
-- KEYS[1] schedule that ticks
-- ARGV[1] line: when it ticks, in a form that changes with it
-- ARGV[2] since: its last tick in the queue that it had before, in ms, or 0
-- ARGV[3] to the last: moved fields and values from there, taken if it is new here
-- RETURNS the last tick that was dealt with, in ms
local schedule = KEYS[1]
local line, since = ARGV[1], tonumber(ARGV[2])
-- include now
if #ARGV > 2 and redis.call('EXISTS', schedule) == 0 then
  redis.call('HSET', schedule, unpack(ARGV, 3))
end
local known = redis.call('HMGET', schedule, 'line', 'tick')
local tick = math.max(since, tonumber(known[2] or 0))
if known[1] ~= line then
  tick = math.max(now, tick)
end
redis.call('HSET', schedule, 'line', line, 'tick', tick)
return redis.call('HGET', schedule, 'tick')
