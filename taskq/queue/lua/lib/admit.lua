-- Lets a claimed task of a limited type start if its limits allow it, and parks it otherwise, so that others may pass.
-- Needs: room, vacate, occupy, park, limits, processing, worker_id, now.
local function log_start(type_)
  local count, period = string.match(redis.call('HGET', limits, type_), '^%d+ (%d+) (%d+)$')
  if count ~= '0' then
    local starts = limits .. ':starts:' .. type_
    redis.call('LPUSH', starts, now)
    redis.call('LTRIM', starts, 0, count - 1)
    redis.call('PEXPIRE', starts, period + 1000)
  end
end

local function admit(id, key, type_, attempt)
  vacate(worker_id) -- whoever claims has nothing running any more
  local record = redis.call('HMGET', key, 'priority', 'turn')
  local score = score_of(record[1], turn_of(key, record[2]))
  local head = redis.call('ZRANGE', limits .. ':parked:' .. type_, 0, 0, 'WITHSCORES')
  local admitted = delay_of(type_) == 0 and (not head[1] or score <= tonumber(head[2]))
  if admitted then
    occupy(worker_id, id, attempt, type_)
    log_start(type_)
    refill(type_)
  else
    redis.call('LREM', processing, 1, id)
    park(id, type_, score)
  end
  return admitted
end
