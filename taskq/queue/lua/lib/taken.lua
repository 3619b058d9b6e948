-- Takes up to `most` of the tasks that wait out of where they wait. Needs: pending, high, low, scheduled, limits, most.
local sets = {scheduled}
for _, type_ in ipairs(redis.call('SMEMBERS', limits .. ':parked')) do
  sets[#sets + 1] = limits .. ':parked:' .. type_
end

local function taken()
  for _, list in ipairs({high, low, pending}) do -- those with a bell in `pending` first
    local ids = redis.call('RPOP', list, most)
    if ids then
      return ids
    end
  end
  for _, set in ipairs(sets) do
    local ids = redis.call('ZRANGE', set, 0, most - 1)
    if redis.call('ZREMRANGEBYRANK', set, 0, most - 1) > 0 then
      return ids
    end
  end
  return {}
end
