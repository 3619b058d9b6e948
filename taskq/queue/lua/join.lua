#!lua flags=allow-oom
-- join: makes a new worker known and grants its first lease. Repeating it prolongs nothing.
-- KEYS[1] leases
-- KEYS[2] workers
-- ARGV[1] worker_id
-- ARGV[2] lease in ms
-- ARGV[3] info: where the worker runs, as JSON
-- RETURNS the end of the lease in ms
local leases, workers = KEYS[1], KEYS[2]
local worker_id, lease, info = ARGV[1], tonumber(ARGV[2]), ARGV[3]
-- include now
redis.call('ZADD', leases, 'NX', now + lease, worker_id)
redis.call('HSET', workers, worker_id, info)
return redis.call('ZSCORE', leases, worker_id)
