-- Which task holds a unique key. The key only points at it: the task itself tells whether it has ended, so that nothing that
-- ends a task has to care. Needs: unique_prefix, task_prefix.
local ENDED = 'completed failed cancelled'

local function holder_of(unique_key, id)
  local holder = redis.call('GET', unique_prefix .. unique_key)
  if holder and holder ~= id then
    local record = redis.pcall('HMGET', task_prefix .. holder, 'status')
    if not record.err and record[1] and not string.find(ENDED, record[1], 1, true) then
      return holder
    end
  end
end

local function hold(unique_key, id)
  redis.call('SET', unique_prefix .. unique_key, id)
end
