-- Puts what waits in one list behind what waits in another, which has nothing as a rule. True once all of it has moved.
local MOVES = 1000

local function shift(source, target)
  if redis.call('EXISTS', source) == 1 and redis.call('EXISTS', target) == 0 then
    redis.call('RENAME', source, target)
  end
  for _ = 1, MOVES do
    if not redis.call('LMOVE', source, target, 'RIGHT', 'LEFT') then
      return true
    end
  end
  return false
end
