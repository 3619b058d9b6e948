-- Counts what happened to a task of some type, for good. Needs: stats. `part` is the bucket of a duration, or another detail.
-- Types beyond the room that there is are counted as one without a name, so that nobody can fill Redis with names.
local MOST_FIELDS = 20000

local function tally(event, part, type_, by)
  local field = event .. ':' .. part .. ':'
  local first = redis.pcall('HINCRBY', stats, field .. (type_ or ''), by) == by
  if first and type_ and redis.call('HLEN', stats) > MOST_FIELDS then
    redis.call('HDEL', stats, field .. type_)
    redis.call('HINCRBY', stats, field, by)
  end
end

local function bucket_of(ms)
  local BOUNDS_MS = {5, 25, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000}
  for bucket, bound in ipairs(BOUNDS_MS) do
    if ms <= bound then
      return bucket
    end
  end
  return #BOUNDS_MS + 1
end

local function tally_run(event, type_, ms)
  tally(event, ms <= 5 and 1 or bucket_of(ms), type_, 1) -- the shortest are the many: for them no table is built
  if ms > 0 then
    tally(event, 'ms', type_, ms)
  end
end
