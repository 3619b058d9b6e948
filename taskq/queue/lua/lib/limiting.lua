-- What a claim has to do with the limits of types. The functions for it are built where a limited type is met: to build them
-- takes longer than most commands do, and most calls meet none. Needs: ring, limits, paused, processing, worker_id, now.
local limited = redis.call('EXISTS', limits) == 1
local built

local function limiting()
  if not built then
    -- include room vacate occupy park admit parked
    built = {vacate = vacate, admit = admit, first_parked = first_parked}
  end
  return built
end

local function vacate(worker, claim)
  limiting().vacate(worker, claim)
end

local function admit(id, key, type_, attempt)
  return not limited or redis.call('HEXISTS', limits, type_) == 0 or limiting().admit(id, key, type_, attempt)
end

local function first_parked()
  if limited and redis.call('EXISTS', limits .. ':ready') == 1 then
    return limiting().first_parked()
  end
end
