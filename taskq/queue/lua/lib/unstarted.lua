-- Takes back the claims that no worker has started: BLMOVE has moved their ids and no script has seen them since.
-- Only a worker with a lease could still start one. Needs: leases, processing_prefix, task_prefix.
-- Returns {ready_at, id, priority} of each, the newest first.
local function newer(one, other)
  return one[1] > other[1]
end

local function unstarted()
  local found = {}
  for _, worker_id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    local processing = processing_prefix .. worker_id
    for _, id in ipairs(redis.call('LRANGE', processing, 0, -1)) do
      local record = redis.pcall('HMGET', task_prefix .. id, 'status', 'priority', 'ready_at')
      if not record.err and record[1] == 'pending' then
        redis.call('LREM', processing, 1, id)
        found[#found + 1] = {tonumber(record[3]) or 0, id, record[2]}
      end
    end
  end
  table.sort(found, newer)
  return found
end
