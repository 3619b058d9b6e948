-- Puts an id where claims find it. Needs: ring, pending, high, low.
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
