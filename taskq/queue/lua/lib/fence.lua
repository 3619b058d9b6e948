-- Decides whether this attempt may still write. Needs: attempts, limits, pending, processing, key, id, worker_id, attempt, verb, now.
-- `awaited`: somebody waits for the end of the task; `erred`: an attempt before this one has left an error.
-- `verdict` is
-- 'ok': the caller owns the task, and its claim has been taken off the list and its place, if it had one, is
-- free. 'repeat': this very settle was done before and
-- its reply was lost. 'stale': another attempt owns the task, or it is gone; nothing was changed.
local verdict = 'stale'
local held = redis.pcall('HMGET', key, 'status', 'worker_id', 'attempt', 'awaited', 'turn', 'type', 'started_at', 'error',
  'ready_at')
local awaited, erred = held[4], held[8]
if not held.err and held[2] == worker_id and held[3] == attempt then
  if held[1] == 'processing' and redis.call('LREM', processing, '1', id) == 1 then
    verdict = 'ok'
    if held[5] then -- its type was limited once
      -- include ring room vacate
      vacate(worker_id, id .. ' ' .. attempt)
    end
    tally_attempt(verb, held[6], held[9], held[7])
  elseif redis.call('HGET', key, 'settled') == verb then
    verdict = 'repeat'
  end
end
