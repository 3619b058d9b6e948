-- What the limits of a type leave for one of its pending tasks: nothing for a type without any, else what `limits` says, the tasks
-- that have a place, when the last of these began, the newest start that the rate counts, the one after whose period it allows
-- the next, the place of the task among the parked ones, and how many of those score less than `rank`. Needs: limits, now.
local function bound(id, type_, rank)
  local limit = redis.call('HGET', limits, type_)
  if not limit then
    return {}
  end
  local places, starts, parked = limits .. ':places:' .. type_, limits .. ':starts:' .. type_, limits .. ':parked:' .. type_
  local count = tonumber(string.match(limit, '^%d+ (%d+)'))
  return {limit, now, redis.call('ZCARD', places), redis.call('ZRANGE', places, -1, -1, 'WITHSCORES')[2] or '',
    redis.call('LINDEX', starts, 0) or '', redis.call('LINDEX', starts, math.max(0, count - 1)) or '',
    redis.call('ZRANK', parked, id) or -1, redis.call('ZCOUNT', parked, '-inf', '(' .. rank)}
end
