-- Takes a pending task out of the list in which it waits, in a bounded step: only the ends are searched, first the one where the
-- oldest are. Needs: gone, pending, high, low.
local NEAR = 250

local function list_of(priority)
  return priority == 'high' and high or priority == 'low' and low or pending
end

local function unlist(id, priority)
  local list = list_of(priority)
  for _, rank in ipairs({-1, 1}) do
    if redis.call('LPOS', list, id, 'RANK', rank, 'MAXLEN', NEAR) then
      return redis.call('LREM', list, rank, id) == 1
    end
  end
  return false
end

-- The same for one that may be between the ends, where its entry stays. False when the ends are the whole list.
local function abandon(id, priority)
  local deep = redis.call('LLEN', list_of(priority)) > 2 * NEAR
  return deep and redis.call('SADD', gone_of(priority), id) == 1
end
