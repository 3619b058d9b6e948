-- What a type may do at once. `limits` has for each limited type `most count period`: how many may run, and start in any time
-- of `period` ms; 0 means no bound. Beside it lie, for each type, `:places:` (the workers that run one, by the moment it
-- started), `:starts:` (the moments of the last starts, the newest first) and `:parked:` (the tasks that wait for room, in order);
-- `:parked` names the types that may have parked tasks, `:ready` those of which one could start. Needs: limits, ring, now.

-- The ms until a task of this type may start, or nil: not before a place is freed. For the rate this is the log of a sliding
-- window: the start `count` starts ago must be more than a period old, so no period, wherever it begins, has more of them.
local function delay_of(type_)
  local most, count, period = string.match(redis.call('HGET', limits, type_) or '', '^(%d+) (%d+) (%d+)$')
  if not most or (most ~= '0' and redis.call('ZCARD', limits .. ':places:' .. type_) >= tonumber(most)) then
    return not most and 0 or nil
  end
  local starts = limits .. ':starts:' .. type_
  local first = count ~= '0' and tonumber(redis.call('LINDEX', starts, count - 1))
  if first and first > now then -- the clock was set back: what it logged counts as of now, or nothing would start for long
    for at = 0, redis.call('LLEN', starts) - 1 do
      redis.call('LSET', starts, at, now)
    end
    first = now
  end
  return first and math.max(0, first + period + 1 - now) or 0
end

-- Notes whether a parked task of this type could start now, and wakes a worker for it. Returns the ms until one can,
-- nil when a place must be freed first, or false when none is parked.
local function refill(type_)
  local head = redis.call('ZRANGE', limits .. ':parked:' .. type_, 0, 0, 'WITHSCORES')
  local delay = false
  if head[1] then
    delay = delay_of(type_)
  end
  if delay == 0 then
    redis.call('ZADD', limits .. ':ready', head[2], type_)
    ring()
  else
    redis.call('ZREM', limits .. ':ready', type_)
  end
  return delay
end
