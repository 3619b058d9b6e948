-- Counts what happened to a task of some type, for good. Needs: stats, now. `part` is the bucket of a duration, or another detail.
-- Types beyond the room that there is are counted as one without a name, so that nobody can fill Redis with names.
local function tally(event, part, type_, by)
  local MOST_FIELDS = 20000
  local field = event .. ':' .. part .. ':'
  local first = redis.pcall('HINCRBY', stats, field .. (type_ or ''), by == 1 and '1' or by) == by
  if first and type_ and redis.call('HLEN', stats) > MOST_FIELDS then
    redis.call('HDEL', stats, field .. type_)
    redis.call('HINCRBY', stats, field, by)
  end
end
