-- Takes the next task for this worker without waiting: what its own list holds first (a reply may have been lost), then
-- high, normal, low. Needs: ring, leases, limits, pending, high, low, paused, processing, worker_id, task_prefix, unreadable, failed,
-- wake, tally, now.
-- `claimed` is {'task', ...}, {'idle'}, {'again'} or {'lapsed'}; behind that what expired meanwhile.
local DROPS = 200
local claimed, rung, limiter, expired
local lease = redis.call('ZSCORE', leases, worker_id)
-- One look for all that is seldom there: with neither limits nor tasks of high priority nor any in the own list, which stays
-- so throughout, the next one is where it mostly is.
local plain = redis.call('EXISTS', limits, high, processing) == 0
if not plain and redis.call('EXISTS', limits) == 1 then
  -- include limiting
end
if not lease or tonumber(lease) <= now then
  claimed = {'lapsed'}
end
for _ = 1, claimed and 0 or DROPS do
  local id
  if plain then
    id = redis.call('LMOVE', pending, processing, 'RIGHT', 'LEFT') or redis.call('LMOVE', low, processing, 'RIGHT', 'LEFT')
  else
    -- include take
  end
  if id == BELL then
    redis.call('LREM', processing, 1, BELL)
    rung = true
  elseif id then
    -- include start
    claimed = started
  else
    claimed = {'idle'}
  end
  if claimed then
    break
  end
end
if rung and (not claimed or claimed[1] == 'task' and (redis.call('LLEN', high) + redis.call('LLEN', low) > 0
  or limiter and limiter.first_parked())) then
  ring()
end
claimed = claimed or {'again'}
for _, value in ipairs(expired or {}) do
  claimed[#claimed + 1] = value
end
