-- Lets a pending task wait for room, in the order of priorities and then of the turns in which claims met the tasks of its type
-- first. Needs: room, limits.
local RANK = 2 ^ 51

local function score_of(priority, turn)
  return (priority == 'high' and 0 or priority == 'low' and 2 or 1) * RANK + turn
end

local function park(id, type_, score)
  redis.call('ZADD', limits .. ':parked:' .. type_, score, id)
  redis.call('SADD', limits .. ':parked', type_)
  refill(type_)
end
