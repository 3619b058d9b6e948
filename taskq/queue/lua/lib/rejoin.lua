-- Lets a task that was waiting once wait again: at the end, or where an entry of it is still there. Needs: push, gone.
local function rejoin(priority, id)
  if redis.call('SREM', gone_of(priority), id) == 0 then
    push(priority, id, false)
  end
end
