-- The parked task that comes first of those that may start now. Needs: room, park, limits, paused.
-- Returns its rank (0 high, 1 normal, 2 low), id and type, or nil.
local function first_parked()
  local ready = limits .. ':ready'
  while true do
    local found = redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES')
    if not found[1] or redis.call('EXISTS', paused) == 1 then
      return nil
    end
    local head = redis.call('ZRANGE', limits .. ':parked:' .. found[1], 0, 0, 'WITHSCORES')
    if not head[1] or delay_of(found[1]) ~= 0 then
      redis.call('ZREM', ready, found[1])
    elseif head[2] ~= found[2] then
      redis.call('ZADD', ready, head[2], found[1])
    else
      return math.floor(head[2] / RANK), head[1], found[1]
    end
  end
end
