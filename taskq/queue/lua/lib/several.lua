-- Takes up to `most` tasks for this worker beside those that its list holds, and starts them: high, then normal, then low. Where
-- types have limits, which count what runs and not what is claimed, nobody claims ahead. Needs: most, ring, leases, limits, pending,
-- high, low, processing, worker_id, task_prefix, unreadable, failed, wake, tally, now.
-- `state` is 'task', 'idle', 'again' or 'lapsed', `found` has what the worker needs of each task, `expired` what expired meanwhile.
local DROPS = 200
local state, found, expired, limiter = 'idle', {}, nil, nil
local looked, rung = 0, false
local lease = redis.call('ZSCORE', leases, worker_id)
if not lease or tonumber(lease) <= now then
  state = 'lapsed'
elseif redis.call('EXISTS', limits) == 1 then
  state = 'again'
end
for _, list in ipairs(state == 'idle' and {high, pending, low} or {}) do
  repeat
    local room = math.min(most - #found, DROPS - looked)
    local ids = room > 0 and redis.call('RPOP', list, room) or {}
    looked = looked + #ids
    if #ids > 0 then
      redis.call('LPUSH', processing, unpack(ids))
    end
    for _, id in ipairs(ids) do
      if id == BELL then
        redis.call('LREM', processing, '1', BELL)
        rung = true
      else
        -- include start
        found[#found + 1] = started
      end
    end
  until #ids == 0
end
if rung and redis.call('LLEN', high) + redis.call('LLEN', low) > 0 then
  ring()
end
if #found > 0 then
  state = 'task'
end
