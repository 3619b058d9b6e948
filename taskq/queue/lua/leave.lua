#!lua flags=allow-oom
-- leave: forgets a worker that ended and holds nothing. One that still holds something stays known, for the reaper.
-- KEYS[1] processing of that worker
-- KEYS[2] leases
-- KEYS[3] workers
-- KEYS[4] stops
-- KEYS[5] pending
-- KEYS[6] limits
-- KEYS[7] residents
-- ARGV[1] worker_id
-- RETURNS 1 when it is forgotten, 0 when it still holds something
local processing, leases, workers, stops = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local pending, limits, residents = KEYS[5], KEYS[6], KEYS[7]
local worker_id = ARGV[1]
-- include now ring room vacate
if redis.call('LLEN', processing) > 0 then
  return 0
end
redis.call('ZREM', leases, worker_id)
redis.call('HDEL', workers, worker_id)
redis.call('HDEL', residents, worker_id)
redis.call('HDEL', stops, worker_id, 'lost:' .. worker_id)
vacate(worker_id)
return 1
