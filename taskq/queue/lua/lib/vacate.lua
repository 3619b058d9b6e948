-- Gives back the place of a worker. A worker runs one task at a time, so a place is that of a worker: whatever ends its attempt
-- or the worker itself frees it. Needs: room, limits.
-- With `claim`, 'id attempt', only the place of that attempt.
local function vacate(worker, claim)
  local held = redis.call('HGET', limits .. ':held', worker)
  local type_ = held and string.match(held, ' (%S+)$')
  if not type_ or (claim and held ~= claim .. ' ' .. type_) then
    return
  end
  redis.call('HDEL', limits .. ':held', worker)
  redis.call('ZREM', limits .. ':places:' .. type_, worker)
  refill(type_)
end
