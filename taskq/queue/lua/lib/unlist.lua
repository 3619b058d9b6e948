-- Takes an id out of a list that may be long, and keeps count of what that costs. Needs: pending, high, low.
-- Most ids that are sought are the oldest, so the search begins where claims take.
local function list_of(priority)
  return priority == 'high' and high or priority == 'low' and low or pending
end

local VISITS = 200000
local visits = 0

local function unlist(list, id)
  local at = redis.call('LPOS', list, id, 'RANK', -1)
  local length = redis.call('LLEN', list)
  visits = visits + (at and 2 * (length - at) or length)
  return at and redis.call('LREM', list, -1, id) == 1
end

local function exhausted()
  return visits >= VISITS
end
