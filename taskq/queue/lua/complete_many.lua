#!lua flags=allow-oom
-- complete_many: stores the results of several attempts of a worker, then claims several tasks in the same trip.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] processing of this worker
-- KEYS[5] leases
-- KEYS[6] task_prefix
-- KEYS[7] unreadable
-- KEYS[8] failed
-- KEYS[9] limits
-- KEYS[10] paused
-- KEYS[11] stats
-- KEYS[12] completed
-- ARGV[1] worker_id
-- ARGV[2] most: how many tasks to claim at most, beside those that its list holds
-- ARGV[3] to the last: id, attempt and result as JSON, for each attempt
-- RETURNS the numbers, from 1 on, of those that were 'stale'; 'task', 'idle', 'again' or 'lapsed', or '' where none was asked for;
--         what claim returns of a task, for each that was claimed; id, attempt and type of each task that expired meanwhile
local pending, high, low, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leases, task_prefix, unreadable = KEYS[5], KEYS[6], KEYS[7]
local failed, limits, paused = KEYS[8], KEYS[9], KEYS[10]
local stats, completed = KEYS[11], KEYS[12]
local worker_id, most = ARGV[1], tonumber(ARGV[2])
local id, attempt, result, key = '', '', '', ''
local verb, stale, scored, reply = 'complete', {}, {}, {'', {}, {}}
-- include now ring wake sums attempts
for at = 3, #ARGV, 3 do
  id, attempt, result, key = ARGV[at], ARGV[at + 1], ARGV[at + 2], task_prefix .. ARGV[at]
  -- include fence
  if verdict == 'ok' then
    -- include finish
    scored[#scored + 1], scored[#scored + 2] = stamp, id
  elseif verdict == 'stale' then
    stale[#stale + 1] = at / 3
  end
end
if #scored > 0 then
  redis.call('ZADD', completed, unpack(scored))
end
if most > 0 then
  -- include several
  reply = {state, found, expired or {}}
end
tally_sums()
return {stale, unpack(reply)}
