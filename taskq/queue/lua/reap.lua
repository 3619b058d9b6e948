#!lua flags=allow-oom
-- reap: takes back what a dead or silent worker holds. What it ran counts one crash and goes back to the head of its queue, or
-- fails at the crash limit. Claims that were not started, or claimed ahead of need, go back uncounted.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of that worker
-- KEYS[5] leases
-- KEYS[6] task_prefix
-- KEYS[7] failed
-- KEYS[8] paused
-- KEYS[9] limits
-- KEYS[10] reply_prefix
-- KEYS[11] stats
-- KEYS[12] stops
-- KEYS[13] counters
-- ARGV[1] worker_id
-- ARGV[2] mode: 'dead' (its process is known to have ended) or 'lapsed' (only if its lease has ended)
-- ARGV[3] max_crashes
-- ARGV[4] error
-- ARGV[5] detail of the error as JSON
-- ARGV[6] most: entries to move
-- ARGV[7] token of this call, the same when it is repeated
-- ARGV[8] blame: id of the task that the worker ran, or 'next' if it ran none: where that is not in its list, the only task that
--         it had started; 'oldest' of those, where nobody saw what it ran; '' for none
-- RETURNS how many entries were taken from the list, then of the task that counts a crash: id, attempt, 'pending' or 'failed', crashes,
--         type
local pending, high, low, processing, leases, task_prefix = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local failed, paused, limits, reply_prefix, stats = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local stops, counters = KEYS[12], KEYS[13]
local worker_id, mode, max_crashes, err, detail = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local most, token, blame = tonumber(ARGV[6]), ARGV[7], ARGV[8]
local verb = 'reap'
-- include now aside ring push room park back wake tally crash vacate told dropped lapse
local before = told_before()
if before then
  return before
end
if not lease_over(mode == 'dead') then
  return {0}
end

local ids, started, oldest = redis.call('LRANGE', processing, -most, -1), 0, nil
redis.call('LTRIM', processing, 0, -#ids - 1)
for _, id in ipairs(ids) do -- the newest first, so that the oldest comes to lie at the very head
  local key = task_prefix .. id
  local record = claim_at(key)
  if id == BELL then
    ring()
  elseif record[1] == 'pending' then
    give_back(id, key, record)
  elseif record[1] == 'processing' and record[2] == worker_id then
    if oldest then
      give_back(unpack(oldest))
    end
    started = started + 1
    oldest = id ~= blame and {id, key, record} or count_crash(id, key, record)
  else
    dropped(id) -- withdrawn meanwhile, or unreadable
  end
end
if oldest then
  local settle = (blame == 'oldest' or blame ~= '' and started == 1) and count_crash or give_back
  settle(unpack(oldest))
end
vacate(worker_id)
local reply = {#ids, unpack(moved)}
return #ids > 0 and tell(reply) or reply
