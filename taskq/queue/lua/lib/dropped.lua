-- Notes that a list has no entry any more that stands for nothing, see gone. KEYS[1] to KEYS[3] are pending, high and low.
local function dropped(id)
  for at = 1, 3 do
    redis.call('SREM', KEYS[at] .. ':gone', id)
  end
end
