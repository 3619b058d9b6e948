#!lua flags=allow-oom
-- extend: prolongs the leases of live workers. A lease that has lapsed is not revived.
-- KEYS[1] leases
-- ARGV[1] lease in ms
-- ARGV[2] to the last: worker ids
-- RETURNS the ids of those whose lease had lapsed
local leases = KEYS[1]
local lease = tonumber(ARGV[1])
-- include now
local lapsed = {}
for i = 2, #ARGV do
  local ends_at = redis.call('ZSCORE', leases, ARGV[i])
  if ends_at and tonumber(ends_at) > now then
    redis.call('ZADD', leases, 'XX', now + lease, ARGV[i])
  else
    lapsed[#lapsed + 1] = ARGV[i]
  end
end
return lapsed
