#!lua flags=allow-oom
-- lapsed: names workers whose lease has ended.
-- KEYS[1] leases
-- KEYS[2] reaper
-- ARGV[1] pause: the longest regular time between two visits of maintenance, in ms
-- ARGV[2] most: worker ids to return
-- RETURNS for each worker: its id, and for how many ms its lease has ended
local leases, reaper = KEYS[1], KEYS[2]
local pause, most = tonumber(ARGV[1]), ARGV[2]
-- include now gap
local found = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
for i = 2, #found, 2 do
  found[i] = now - tonumber(found[i])
end
return found
