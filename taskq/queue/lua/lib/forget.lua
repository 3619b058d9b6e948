-- Removes a record and all that belongs to it; returns how many records that were. Needs: task_prefix, tasks, expiring,
-- unique_prefix, output_prefix.
local function forget(id)
  local key = task_prefix .. id
  local record = redis.pcall('HMGET', key, 'unique_key')
  if not record.err and record[1] and redis.call('GET', unique_prefix .. record[1]) == id then
    redis.call('DEL', unique_prefix .. record[1])
  end
  redis.call('ZREM', tasks, id)
  redis.call('ZREM', expiring, id)
  redis.call('DEL', output_prefix .. id)
  return redis.call('DEL', key)
end
