-- Takes the next task for this worker without waiting: what its own list holds first (a reply may have been lost), then
-- high, normal, low; Needs: take, start, ring, overdue, limiting, high, low, processing,
-- leases, worker_id, now. Returns {'task', ...}, {'idle'}, {'again'} or {'lapsed'}; behind that what expired
-- meanwhile.
-- `ahead`: another one, although its list holds some. Where types have limits, which count what runs and not what is claimed,
-- nobody claims ahead: {'again'}.
local DROPS = 200

local function claim(ahead)
  local lease = redis.call('ZSCORE', leases, worker_id)
  if not lease or tonumber(lease) <= now then
    return {'lapsed'}
  end
  if ahead and limited then
    return {'again'}
  end
  local rung = false
  for _ = 1, DROPS do
    local id = not ahead and redis.call('LINDEX', processing, -1) or take()
    if not id then
      return with_expired({'idle'})
    end
    if id == BELL then
      redis.call('LREM', processing, 1, BELL)
      rung = true
    else
      local attempt = start(id)
      if attempt then
        if rung and (redis.call('LLEN', high) + redis.call('LLEN', low) > 0 or first_parked()) then
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
