#!lua
-- count: adds what a process has counted since its last call to what all of them have. A call that is repeated adds nothing.
-- KEYS[1] requests
-- KEYS[2] counted: the number of the last call of this process
-- ARGV[1] call: its number, which grows
-- ARGV[2] to the last: field, and how often it was counted
-- RETURNS 1 when it was added, 0 when it had been before
local requests, counted = KEYS[1], KEYS[2]
local call = tonumber(ARGV[1])
local KEPT_S = 86400
if tonumber(redis.call('GET', counted) or 0) >= call then
  return 0
end
for i = 2, #ARGV, 2 do
  redis.call('HINCRBY', requests, ARGV[i], ARGV[i + 1])
end
redis.call('SET', counted, call, 'EX', KEPT_S)
return 1
