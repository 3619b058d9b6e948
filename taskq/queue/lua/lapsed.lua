#!lua flags=allow-oom
-- lapsed: names workers whose lease has ended.
-- KEYS[1] leases
-- KEYS[2] reaper
-- ARGV[1] pause: the longest regular time between two visits of maintenance, in ms
-- ARGV[2] most: worker ids to return
-- ARGV[3] skip: so many of those whose lease ended first are left out
-- RETURNS for each worker: its id, and for how many ms its lease has ended
local leases, reaper = KEYS[1], KEYS[2]
local pause, most, skip = tonumber(ARGV[1]), ARGV[2], ARGV[3]
-- include now gap
local found = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'WITHSCORES', 'LIMIT', skip, most)
for i = 2, #found, 2 do
  found[i] = now - tonumber(found[i])
end
return found
