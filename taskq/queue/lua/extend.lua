#!lua flags=allow-oom
-- extend: prolongs the leases of live workers. A lease that has lapsed is not revived.
-- KEYS[1] leases
-- KEYS[2] reaper
-- ARGV[1] pause: the longest regular time between two visits of maintenance, in ms
-- ARGV[2] lease in ms
-- ARGV[3] to the last: worker ids
-- RETURNS the ids of those whose lease had lapsed
local leases, reaper = KEYS[1], KEYS[2]
local pause, lease = tonumber(ARGV[1]), tonumber(ARGV[2])
-- include now gap
local lapsed = {}
for i = 3, #ARGV do
  local ends_at = redis.call('ZSCORE', leases, ARGV[i])
  if ends_at and tonumber(ends_at) > now then
    redis.call('ZADD', leases, 'XX', now + lease, ARGV[i])
  else
    lapsed[#lapsed + 1] = ARGV[i]
  end
end
return lapsed
