-- Counts what happened to a task of some type, for good. Needs: stats. `part` is the bucket of a duration, or another detail.
-- Types beyond the room that there is are counted as one without a name, so that nobody can fill Redis with names.
local BOUNDS_MS = {5, 25, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000}
local MOST_FIELDS = 20000

local function tally(event, part, type_, by)
  local field = event .. ':' .. part .. ':'
  local first = redis.pcall('HINCRBY', stats, field .. (type_ or ''), by) == by
  if first and type_ and redis.call('HLEN', stats) > MOST_FIELDS then
    redis.call('HDEL', stats, field .. type_)
    redis.call('HINCRBY', stats, field, by)
  end
end

local function tally_run(event, type_, ms)
  local bucket = 1
  while BOUNDS_MS[bucket] and ms > BOUNDS_MS[bucket] do
    bucket = bucket + 1
  end
  tally(event, bucket, type_, 1)
  if ms > 0 then
    tally(event, 'ms', type_, ms)
  end
end
