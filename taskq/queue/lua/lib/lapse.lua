-- Whether the lease of a worker is over: it has ended, or its worker is known to have died. A lease that ended before its worker
-- did is counted, once until the worker is forgotten. Needs: leases, stops, counters, worker_id, now.
local function lease_over(died)
  local ends_at = redis.call('ZSCORE', leases, worker_id)
  if died then
    redis.call('ZADD', leases, 'XX', 'LT', now, worker_id)
  elseif ends_at and tonumber(ends_at) > now then
    return false
  end
  if ends_at and redis.call('HSETNX', stops, 'lost:' .. worker_id, 1) == 1 and not died then
    redis.call('HINCRBY', counters, 'lost', 1)
  end
  return true
end
