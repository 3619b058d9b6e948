-- Wakes an idle worker: BLMOVE waits on `pending` alone, so for a task that waits elsewhere a bell is put there. Needs: pending.
local BELL = '!'

local function ring()
  if redis.call('LINDEX', pending, -1) ~= BELL then
    redis.call('RPUSH', pending, BELL)
  end
end
