-- Whether this attempt still holds its task, for those who write without ending it. Needs: task_prefix, processing_prefix.
-- Returns the status of the task, or nil when another attempt owns it or it is gone. Nothing is changed.
local function holds(worker_id, id, attempt)
  local record = redis.pcall('HMGET', task_prefix .. id, 'status', 'worker_id', 'attempt')
  if record.err or record[2] ~= worker_id or record[3] ~= attempt then
    return nil
  end
  if record[1] == 'processing' and not redis.call('LPOS', processing_prefix .. worker_id, id) then
    return nil
  end
  return record[1]
end
