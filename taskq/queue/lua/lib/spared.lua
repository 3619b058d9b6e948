-- What an action on many tasks leaves alone: a task that has another status by now, or that ended after the action was asked
-- for. Needs: key, only, upto.
local function spared(status)
  if only ~= '' and status ~= only then
    return true
  end
  local ended = upto ~= '' and redis.call('HGET', key, 'finished_at')
  return ended and (tonumber(ended) or 0) > tonumber(upto)
end
