-- Takes the next task for this worker without waiting: what its own list holds first (a reply may have been lost), then
-- high, normal, low. Needs: start, push, overdue, leases. Returns {'task', ...}, {'idle'}, {'again'} or {'lapsed'}; behind that what expired
-- meanwhile.
local DROPS = 200

local function take()
  for _, list in ipairs({high, pending, low}) do
    local id = redis.call('LMOVE', list, processing, 'RIGHT', 'LEFT')
    if id then
      return id
    end
  end
end

local function claim()
  local lease = redis.call('ZSCORE', leases, worker_id)
  if not lease or tonumber(lease) <= now then
    return {'lapsed'}
  end
  local rung = false
  for _ = 1, DROPS do
    local id = redis.call('LINDEX', processing, -1) or take()
    if not id then
      return with_expired({'idle'})
    end
    if id == BELL then
      redis.call('LREM', processing, 1, BELL)
      rung = true
    else
      local attempt = start(id)
      if attempt then
        if rung and redis.call('LLEN', high) + redis.call('LLEN', low) > 0 then
          ring()
        end
        return with_expired({'task', unpack(attempt)})
      end
    end
  end
  if rung then
    ring()
  end
  return with_expired({'again'})
end
