-- Takes a task out of whatever list or set its status puts it in. Needs: unlist, scheduled, completed, failed,
-- cancelled, processing_prefix, leases, stops, unpark. A running one is also noted in `stops`, for the machine that runs it; its place
-- is free when it has stopped there.
local function withdraw(id, record, reason)
  local status, priority, worker_id, attempt = record[1], record[2], record[3], record[4]
  if status == 'pending' and unpark(id, record[7], record[6]) then
    return
  elseif status == 'pending' then
    local found = unlist(id, priority)
    for _, claimer in ipairs(found and {} or redis.call('ZRANGE', leases, 0, -1)) do
      -- claimed by somebody and not started yet: a requeue must not find it in two lists
      found = redis.call('LREM', processing_prefix .. claimer, 1, id) == 1
      if found then
        break
      end
    end
    if not found then
      abandon(id, priority)
    end
  elseif status == 'processing' then
    if worker_id and attempt then
      redis.call('LREM', processing_prefix .. worker_id, 1, id)
      local asked, line = redis.call('HGET', stops, worker_id), id .. ' ' .. attempt .. ' ' .. reason
      redis.call('HSET', stops, worker_id, asked and asked .. '\n' .. line or line)
    end
  elseif status == 'scheduled' then
    redis.call('ZREM', scheduled, id)
  else
    redis.call('ZREM', status == 'completed' and completed or status == 'failed' and failed or cancelled, id)
  end
end
