-- What a claim has to do with the limits of types where some have any: `limiter`. The functions for it are built where a limited type
-- is met: to build them takes longer than most commands do, and most calls meet none. Needs: ring, limiter, limits, paused,
-- processing, worker_id, now.
local built

local function build()
  if not built then
    -- include room vacate occupy park admit parked
    built = {admit = admit, first_parked = first_parked}
  end
  return built
end

local function admit(id, key, type_, attempt)
  return redis.call('HEXISTS', limits, type_) == 0 or build().admit(id, key, type_, attempt)
end

local function first_parked()
  if redis.call('EXISTS', limits .. ':ready') == 1 then
    return build().first_parked()
  end
end

limiter = {admit = admit, first_parked = first_parked}
