-- Ends a task that has waited longer than it may. Needs: wake, failed, now.
local EXPIRED = 'expired before it could start'
local EXPIRED_DETAIL = '{"kind":"expired","message":"' .. EXPIRED .. '"}'

local function expire(id, key)
  redis.call('HSET', key, 'status', 'failed', 'settled', 'expire', 'error', EXPIRED, 'error_detail', EXPIRED_DETAIL,
    'finished_at', now, 'updated_at', now)
  redis.call('HDEL', key, 'run_at')
  redis.call('ZADD', failed, now, id)
  wake(id, redis.call('HGET', key, 'awaited'))
end
