-- The present moment on Redis' clock in milliseconds since the epoch: `now`, and `stamp`, the same as text. The server would turn
-- the number into text, which costs it as much as writing a field does, for each field anew.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f', now)
