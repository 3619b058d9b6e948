-- Ends a task that has waited longer than it may. Needs: wake, tally, failed, now.
local EXPIRED = 'expired before it could start'
local EXPIRED_DETAIL = '{"kind":"expired","message":"' .. EXPIRED .. '"}'

local function expire(id, key)
  redis.call('HSET', key, 'status', 'failed', 'settled', 'expire', 'error', EXPIRED, 'error_detail', EXPIRED_DETAIL,
    'finished_at', now, 'updated_at', now)
  redis.call('HDEL', key, 'run_at')
  redis.call('ZADD', failed, now, id)
  local record = redis.call('HMGET', key, 'awaited', 'type')
  tally('expire', 'end', record[2], 1)
  wake(id, record[1])
end
