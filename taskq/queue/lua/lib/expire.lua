-- Ends a task that has waited longer than it may. Needs: wake, tally, failed, now.
local EXPIRED = 'expired before it could start'

local function expire(id, key)
  local detail = '{"kind":"expired","message":"' .. EXPIRED .. '"}'
  redis.call('HSET', key, 'status', 'failed', 'settled', 'expire', 'error', EXPIRED, 'error_detail', detail,
    'finished_at', stamp, 'updated_at', stamp)
  redis.call('HDEL', key, 'run_at')
  redis.call('ZADD', failed, stamp, id)
  local record = redis.call('HMGET', key, 'awaited', 'type')
  tally('expire', 'end', record[2], 1)
  wake(id, record[1])
end
