#!lua flags=allow-oom
-- limit: takes over the limits of types from a configuration that is new here. What runs already counts, what is parked may
-- start as the new limits allow.
-- KEYS[1] pending
-- KEYS[2] limits
-- KEYS[3] leases
-- KEYS[4] workers
-- KEYS[5] task_prefix
-- KEYS[6] processing_prefix
-- ARGV[1] generation: marks one loading of a configuration; the newest that is published counts
-- ARGV[2] to the last: types of that configuration, each with its limits as they are stored, '0 0 0' for none
-- RETURNS 1 if they were taken over, 0 if they had been before
local pending, limits, leases, workers, task_prefix, processing_prefix = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local generation = ARGV[1]
-- include now ring room occupy
local known = limits .. ':known'
if redis.call('HSETNX', known, generation, now) == 0 then
  return 0
end
local infos = table.concat(redis.call('HVALS', workers), ' ')
for _, old in ipairs(redis.call('HKEYS', known)) do
  if old ~= generation and not string.find(infos, old, 1, true) then
    redis.call('HDEL', known, old)
  end
end
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] ~= '0 0 0' or redis.call('HEXISTS', limits, ARGV[i]) == 1 then
    redis.call('HSET', limits, ARGV[i], ARGV[i + 1])
    refill(ARGV[i])
  end
end
for _, worker_id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
  for _, id in ipairs(redis.call('LRANGE', processing_prefix .. worker_id, 0, -1)) do
    local key = task_prefix .. id
    local record = redis.pcall('HMGET', key, 'status', 'worker_id', 'attempt', 'type', 'turn')
    local runs = not record.err and record[1] == 'processing' and record[2] == worker_id and record[4]
    if runs and redis.call('HEXISTS', limits, runs) == 1 then
      turn_of(key, record[5])
      occupy(worker_id, id, record[3], runs)
    end
  end
end
return 1
