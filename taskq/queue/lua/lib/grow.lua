-- Adds the growth of counters to the totals, and gathers what of it belongs to the minute and the hour. Needs: stats, bound.
-- These have of an attempt only how it ended, and the sum of the durations; an attempt that crashed is counted as `die`.
-- Types beyond the bound are counted as one without a name, as they are by tally.
local MINUTES_KEPT_S, HOURS_KEPT_S = 90000, 2678400
local TOTALS = 50
local grown = {}

local function raise(hash, words, type_, by, most)
  local first = redis.pcall('HINCRBY', hash, words .. type_, by) == by
  if first and type_ ~= '' and redis.call('HLEN', hash) > most then
    redis.call('HDEL', hash, words .. type_)
    redis.call('HINCRBY', hash, words, by)
  end
end

local function grow(field, by)
  local event, part, type_ = string.match(field, '^(%w+):([^:]*):(.*)$')
  local ran, waited = string.match(part, '^(%d+)%.(%d+)$')
  raise(stats .. ':total', event .. ':' .. (ran or part) .. ':', type_, by, TOTALS * bound)
  if waited then
    raise(stats .. ':total', 'start:' .. waited .. ':', type_, by, TOTALS * bound)
  end
  if event ~= 'crash' then
    local words = part == 'ms' and event .. '_ms:' or event .. ':'
    grown[words] = grown[words] or {}
    grown[words][type_] = (grown[words][type_] or 0) + by
  end
end

local function note_grown(minute)
  local units = {{':minute:' .. minute, MINUTES_KEPT_S}, {':hour:' .. math.floor(minute / 60), HOURS_KEPT_S}}
  for _, unit in ipairs(units) do
    local hash = stats .. unit[1]
    for words, types in pairs(grown) do
      for type_, by in pairs(types) do
        raise(hash, words, type_, by, bound)
      end
    end
    redis.call('EXPIRE', hash, unit[2])
  end
end
