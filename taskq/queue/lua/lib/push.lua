-- Puts an id where claims find it. Needs: pending, high, low.
-- BLMOVE waits on `pending` alone, so a task in another list rings a bell there.
local BELL = '!'

local function ring()
  if redis.call('LINDEX', pending, -1) ~= BELL then
    redis.call('RPUSH', pending, BELL)
  end
end

local function push(priority, id, at_head)
  local command = at_head and 'RPUSH' or 'LPUSH'
  if priority == 'high' then
    redis.call(command, high, id)
    ring()
  elseif priority == 'low' then
    redis.call(command, low, id)
    ring()
  else
    redis.call(command, pending, id)
  end
end
