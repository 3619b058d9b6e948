-- Gives a worker a place for an attempt. A task keeps the turn in which it was met first, wherever it waits. Needs: limits, now.
local function turn_of(key, known)
  local turn = known or redis.call('INCR', limits .. ':turns')
  if not known then
    redis.call('HSET', key, 'turn', turn)
  end
  return turn
end

local function occupy(worker, id, attempt, type_)
  redis.call('HSET', limits .. ':held', worker, id .. ' ' .. attempt .. ' ' .. type_)
  redis.call('ZADD', limits .. ':places:' .. type_, now, worker)
end
