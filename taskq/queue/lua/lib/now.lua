-- The present moment on Redis' clock in milliseconds since the epoch: `now`, and `stamp`, the same as text. The server would turn
-- the number into text, which costs it as much as writing a field does, for each field anew.
local time = redis.call('TIME')
local stamp = string.format('%s%03d', time[1], time[2] / 1000) -- which cuts off and does not round
local now = tonumber(stamp)
