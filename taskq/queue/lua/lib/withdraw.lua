-- Takes a task out of whatever list or set its status puts it in. Needs: pending, high, low, scheduled, completed, failed,
-- cancelled, processing_prefix, leases, stops, unpark. A running one is also noted in `stops`, for the machine that runs it; its place
-- is free when it has stopped there.
local function withdraw(id, record, reason)
  local status, priority, worker_id, attempt = record[1], record[2], record[3], record[4]
  if status == 'pending' and unpark(id, record[7], record[6]) then
    return
  elseif status == 'pending' then
    local list = priority == 'high' and high or priority == 'low' and low or pending
    -- from the end where the oldest are: of many, those are cancelled first
    local left = redis.call('LREM', list, -1, id) == 0
    for _, claimer in ipairs(left and redis.call('ZRANGE', leases, 0, -1) or {}) do
      -- claimed by somebody and not started yet: a requeue must not find it in two lists
      if redis.call('LREM', processing_prefix .. claimer, 1, id) == 1 then
        break
      end
    end
  elseif status == 'processing' then
    if worker_id and attempt then
      redis.call('LREM', processing_prefix .. worker_id, 1, id)
      redis.call('HSET', stops, worker_id, id .. ' ' .. attempt .. ' ' .. reason)
    end
  elseif status == 'scheduled' then
    redis.call('ZREM', scheduled, id)
  else
    redis.call('ZREM', status == 'completed' and completed or status == 'failed' and failed or cancelled, id)
  end
end
