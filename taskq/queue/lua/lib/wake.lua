-- Wakes those who wait for the end of a task, if anybody does. Needs: task_prefix.
-- One entry is enough for any number of them: whoever takes it puts it back for the next (see watch).
local WAKE_MS = 60000

local function wake(id, awaited)
  if not awaited then
    return
  end
  local list = task_prefix .. id .. ':wake'
  redis.call('HDEL', task_prefix .. id, 'awaited')
  if redis.call('EXISTS', list) == 0 then
    redis.call('RPUSH', list, '1')
  end
  redis.call('PEXPIRE', list, WAKE_MS)
end
