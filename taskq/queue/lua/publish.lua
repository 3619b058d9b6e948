#!lua flags=allow-oom
-- publish: tells everybody which schedules a machine has, and forgets those that no machine has told of for some time.
-- KEYS[1] schedules
-- KEYS[2] seen
-- ARGV[1] forget: schedules that were not published for so many ms, or 0 for none
-- ARGV[2] to the last: definitions of schedules, each a name and JSON
-- RETURNS the names of those that were forgotten
local schedules, seen = KEYS[1], KEYS[2]
local forget = tonumber(ARGV[1])
-- include now
for i = 2, #ARGV, 2 do
  redis.call('HSET', schedules, ARGV[i], ARGV[i + 1])
  redis.call('ZADD', seen, now, ARGV[i])
end
local forgotten = {}
if forget > 0 then
  forgotten = redis.call('ZRANGEBYSCORE', seen, '-inf', now - forget, 'LIMIT', 0, 100)
end
for _, name in ipairs(forgotten) do
  redis.call('HDEL', schedules, name)
  redis.call('ZREM', seen, name)
end
return forgotten
