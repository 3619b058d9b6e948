-- The next task for this worker, as `id`: the oldest of its own list; then, moved into its list, the first
-- that is high, then normal, then low, and of each of these first what was parked and may start now. Needs: limiter,
-- high, pending, low, limits, processing, id.
id = redis.call('LINDEX', processing, '-1')
local rank, parked, type_
if not id and limiter then
  rank, parked, type_ = limiter.first_parked()
end
for at = 0, id and -1 or 2 do
  if rank == at then
    redis.call('ZREM', limits .. ':parked:' .. type_, parked)
    redis.call('LPUSH', processing, parked)
    id = parked
  else
    id = redis.call('LMOVE', at == 0 and high or at == 1 and pending or low, processing, 'RIGHT', 'LEFT')
  end
  if id then
    break
  end
end
