#!lua flags=allow-oom
-- extend: prolongs the leases of live workers and notes their sizes. A lease that has lapsed is not revived.
-- KEYS[1] leases
-- KEYS[2] reaper
-- KEYS[3] residents
-- ARGV[1] pause: the longest regular time between two visits of maintenance, in ms
-- ARGV[2] lease in ms
-- ARGV[3] to the last: a worker id and its resident size in bytes, or '' if that is not known, for each worker
-- RETURNS the ids of those whose lease had lapsed
local leases, reaper, residents = KEYS[1], KEYS[2], KEYS[3]
local pause, lease = tonumber(ARGV[1]), tonumber(ARGV[2])
-- include now gap
local lapsed, sizes = {}, {}
for i = 3, #ARGV, 2 do
  local ends_at = redis.call('ZSCORE', leases, ARGV[i])
  if ends_at and tonumber(ends_at) > now then
    redis.call('ZADD', leases, 'XX', now + lease, ARGV[i])
    if ARGV[i + 1] ~= '' then
      sizes[ARGV[i]] = ARGV[i + 1]
    end
  else
    lapsed[#lapsed + 1] = ARGV[i]
  end
end
-- only of live workers: nobody would forget the size of one that has left. After all leases, which a key of the wrong type
-- must not keep from being prolonged.
for worker_id, size in pairs(sizes) do
  redis.call('HSET', residents, worker_id, size)
end
return lapsed
