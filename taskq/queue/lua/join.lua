#!lua flags=allow-oom
-- join: makes a new worker known, grants its first lease and publishes its types. Repeating it prolongs nothing.
-- The first worker with a new catalog puts an end to those that no known worker refers to.
-- KEYS[1] leases
-- KEYS[2] workers
-- KEYS[3] types
-- ARGV[1] worker_id
-- ARGV[2] lease in ms
-- ARGV[3] info: where the worker runs and the digest of its catalog, as JSON
-- ARGV[4] digest of the catalog, or '' for none
-- ARGV[5] catalog as JSON
-- RETURNS the end of the lease in ms
local leases, workers, types = KEYS[1], KEYS[2], KEYS[3]
local worker_id, lease, info, digest, catalog = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
-- include now
redis.call('ZADD', leases, 'NX', now + lease, worker_id)
redis.call('HSET', workers, worker_id, info)
if digest ~= '' and redis.call('HSETNX', types, digest, catalog) == 1 then
  local infos = table.concat(redis.call('HVALS', workers), ' ')
  for _, old in ipairs(redis.call('HKEYS', types)) do
    if not string.find(infos, old, 1, true) then
      redis.call('HDEL', types, old)
    end
  end
end
return redis.call('ZSCORE', leases, worker_id)
