-- Begins an attempt of a task that is in this worker's list. Needs: processing, task_prefix, unreadable, worker_id, overdue, limiting,
-- now.
-- Returns what the worker needs, or nil after dropping an entry that is not to be run (deleted, cancelled, unreadable,
-- waited too long) or not now (parked).
-- Repeating it for the same worker answers the same attempt: the first reply may have been lost.
local SCHEMA = 1

local function readable(record)
  if record.err or (record[1] and tonumber(record[1]) ~= SCHEMA) or (record[2] and not record[5]) then
    return false
  end
  return tonumber(record[4] or 0) and tonumber(record[7] or 0) and tonumber(record[8] or 0) and tonumber(record[9] or 0)
    and tonumber(record[10] or 0) and tonumber(record[12] or 0)
end

local function start(id)
  local key = task_prefix .. id
  local record = redis.pcall('HMGET', key, 'v', 'status', 'worker_id', 'attempt', 'type', 'payload',
    'retries', 'max_retry', 'crashes', 'timeout_ms', 'tags', 'expires_at', 'settled', 'trace')
  if not readable(record) then
    redis.call('LREM', processing, 1, id)
    redis.call('ZADD', unreadable, now, id)
    return nil
  end
  local attempt = tonumber(record[4] or 0)
  if record[2] == 'pending' then
    if overdue(id, key, record) or not admit(id, key, record[5], attempt + 1) then
      return nil
    end
    attempt = attempt + 1
    redis.call('HSET', key, 'status', 'processing', 'worker_id', worker_id, 'attempt', attempt,
      'started_at', stamp, 'updated_at', stamp)
    if record[13] then -- not its first life: whatever ended one before has left this
      redis.call('HDEL', key, 'settled', 'run_at', 'finished_at', 'progress')
    end
  elseif record[2] ~= 'processing' or record[3] ~= worker_id then
    redis.call('LREM', processing, 1, id)
    -- include dropped
    dropped(id)
    return nil
  end
  return {id, attempt, record[5], record[6] or '', record[7] or '0', record[8] or '0', record[9] or '0',
    record[10] or '', record[14] and (record[11] or '') .. ' ' .. record[14] or record[11] or ''}
end
