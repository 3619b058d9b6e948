-- Takes a task out of whatever list or set its status puts it in. Needs: pending, high, low, scheduled, completed, failed,
-- cancelled, processing_prefix, stops, unpark. A running one is also noted in `stops`, for the machine that runs it; its place
-- is free when it has stopped there.
local function withdraw(id, record, reason)
  local status, priority, worker_id, attempt = record[1], record[2], record[3], record[4]
  if status == 'pending' and unpark(id, record[7], record[6]) then
    return
  elseif status == 'pending' then
    local list = priority == 'high' and high or priority == 'low' and low or pending
    -- from the end where the oldest are: of many, those are cancelled first
    if redis.call('LREM', list, -1, id) == 0 and worker_id then
      -- claimed by somebody and not started yet: start drops what it finds gone
      redis.call('LREM', processing_prefix .. worker_id, 1, id)
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
