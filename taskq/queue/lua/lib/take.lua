-- Moves the next task into this worker's list: high, then normal, then low, and of each of these first what was parked and may
-- start now. Needs: limiting, high, pending, low, limits, processing.
local function take()
  local rank, parked, type_ = first_parked()
  for at = 0, 2 do
    if rank == at then
      redis.call('ZREM', limits .. ':parked:' .. type_, parked)
      redis.call('LPUSH', processing, parked)
      return parked
    end
    local id = redis.call('LMOVE', at == 0 and high or at == 1 and pending or low, processing, 'RIGHT', 'LEFT')
    if id then
      return id
    end
  end
end
