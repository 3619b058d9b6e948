-- Drops entries that stand for nothing from the end of a list where claims take, so that they go also where nobody claims; bells
-- among them become one. Needs: ring.
local SWEPT = 1000

local function sweep(list, gone)
  local ids = redis.call('EXISTS', gone) == 1 and redis.call('LRANGE', list, -SWEPT, -1) or {}
  local states = #ids > 0 and redis.call('SMISMEMBER', gone, unpack(ids))
  local first, rung = #ids + 1, false
  while first > 1 and (states[first - 1] == 1 or ids[first - 1] == BELL) do
    first = first - 1
    rung = rung or ids[first] == BELL
  end
  if first <= #ids and redis.call('SREM', gone, unpack(ids, first)) > 0 then
    redis.call('RPOP', list, #ids - first + 1)
    if rung then
      ring()
    end
  end
end
