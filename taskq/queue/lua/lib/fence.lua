-- Decides whether this attempt may still write. Needs: vacate, attempts, now, processing, key, id, worker_id, attempt. `awaited`: somebody waits for
-- the end of the task; `erred`: an attempt before this one has left an error.
-- 'ok': the caller owns the task, and its claim has been taken off the list and its place, if it had one, is
-- free. 'repeat': this very settle was done before and
-- its reply was lost. 'stale': another attempt owns the task, or it is gone; nothing was changed.
local awaited, erred

local function fence(verb)
  local record = redis.pcall('HMGET', key, 'status', 'worker_id', 'attempt', 'awaited', 'turn', 'type', 'started_at', 'error',
    'ready_at')
  awaited, erred = record[4], record[8]
  if record.err or record[2] ~= worker_id or record[3] ~= attempt then
    return 'stale'
  end
  if record[1] == 'processing' and redis.call('LREM', processing, 1, id) == 1 then
    if record[5] then
      vacate(worker_id, id .. ' ' .. attempt)
    end
    tally_attempt(verb, record[6], record[9], record[7])
    return 'ok'
  end
  return redis.call('HGET', key, 'settled') == verb and 'repeat' or 'stale'
end
