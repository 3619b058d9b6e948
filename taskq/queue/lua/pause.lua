#!lua flags=allow-oom
-- pause: lets no task start any more until resume. What waits is set aside as it is, and a claim that no worker has started
-- yet goes back to the head. Repeating it keeps the moment and takes the new reason.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] leases
-- KEYS[5] task_prefix
-- KEYS[6] processing_prefix
-- KEYS[7] paused
-- ARGV[1] reason
-- RETURNS since when the queue is paused, in ms, and 1, or 0 when the call must be repeated to set aside the rest
local pending, high, low, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local task_prefix, processing_prefix, paused = KEYS[5], KEYS[6], KEYS[7]
local reason = ARGV[1]
-- include now ring push shift unstarted
for _, claim in ipairs(unstarted()) do
  push(claim[3], claim[2], true)
end
local done = 1
for _, list in ipairs({pending, high, low}) do
  if not shift(list, list .. ':paused') then
    done = 0
  end
end
redis.call('HSETNX', paused, 'since', now)
redis.call('HSET', paused, 'reason', reason)
return {redis.call('HGET', paused, 'since'), done}
