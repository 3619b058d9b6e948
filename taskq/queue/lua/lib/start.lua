-- Begins an attempt of the task `id` that is in this worker's list. Needs: processing, task_prefix, unreadable, worker_id, limiter,
-- expired, wake, tally, failed, now.
-- `started` is what the worker needs, or nil after dropping an entry that is not to be run (deleted, cancelled, unreadable,
-- waited too long: then it is one of the `expired`) or not now (parked).
-- Repeating it for the same worker answers the same attempt: the first reply may have been lost.
local SCHEMA = '1'
local started
local key = task_prefix .. id
local record = redis.pcall('HMGET', key, 'v', 'status', 'worker_id', 'attempt', 'type', 'payload',
  'retries', 'max_retry', 'crashes', 'timeout_ms', 'tags', 'expires_at', 'settled', 'trace')
local attempt = not record.err and tonumber(record[4] or '0')
local readable = attempt and (record[1] or SCHEMA) == SCHEMA and (record[5] or not record[2])
  and (not record[7] or tonumber(record[7])) and (not record[8] or tonumber(record[8])) and (not record[9] or tonumber(record[9]))
  and (not record[10] or tonumber(record[10])) and (not record[12] or tonumber(record[12]))
if not readable then
  redis.call('LREM', processing, 1, id)
  redis.call('ZADD', unreadable, now, id)
elseif record[2] == 'pending' then
  if record[12] and tonumber(record[12]) <= now then
    -- include expire overdue
  elseif not limiter or limiter.admit(id, key, record[5], attempt + 1) then
    attempt = attempt + 1
    redis.call('HSET', key, 'status', 'processing', 'worker_id', worker_id, 'attempt', attempt,
      'started_at', stamp, 'updated_at', stamp)
    if record[13] then -- not its first life: whatever ended one before has left this
      redis.call('HDEL', key, 'settled', 'run_at', 'finished_at', 'progress')
    end
    started = true
  end
elseif record[2] == 'processing' and record[3] == worker_id then
  started = true
else
  redis.call('LREM', processing, 1, id)
  -- include dropped
  dropped(id)
end
started = started and {'task', id, attempt, record[5], record[6] or '', record[7] or '0', record[8] or '0', record[9] or '0',
  record[10] or '', record[14] and (record[11] or '') .. ' ' .. record[14] or record[11] or ''}
