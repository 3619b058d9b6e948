-- Moves the next task into this worker's list: high, then normal, then low, and of each of these first what was parked and may
-- start now. Needs: parked, high, pending, low, limits, processing.
local function take()
  local rank, parked, type_ = first_parked()
  for at, list in ipairs({high, pending, low}) do
    if rank == at - 1 then
      redis.call('ZREM', limits .. ':parked:' .. type_, parked)
      redis.call('LPUSH', processing, parked)
      return parked
    end
    local id = redis.call('LMOVE', list, processing, 'RIGHT', 'LEFT')
    if id then
      return id
    end
  end
end
