-- Takes a waiting task out of those that are parked, if it is one. A task whose type was limited has a turn. Needs: limits.
local function unpark(id, type_, turn)
  return turn and type_ and redis.call('ZREM', limits .. ':parked:' .. type_, id) == 1
end
