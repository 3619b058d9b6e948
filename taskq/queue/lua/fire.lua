#!lua
-- fire: enqueues the task of one tick of a schedule, once, whoever else tries; or at tick 0 the task of a run by hand.
-- Repeating it changes nothing. At maxmemory nothing is stored, and the tick stays due.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] tasks
-- KEYS[6] task_prefix
-- KEYS[7] paused
-- KEYS[8] expiring
-- KEYS[9] unique_prefix
-- KEYS[10] accepted_prefix
-- KEYS[11] stats
-- KEYS[12] schedule that ticks
-- ARGV[1] tick in ms, or 0
-- ARGV[2] overlap: 'allow' or 'skip'
-- ARGV[3] token of this call, the same when it is repeated
-- ARGV[4] id of the task
-- ARGV[5] to the last: task, as enqueue takes what comes after the id
-- RETURNS 'fired'; or, with nothing enqueued, 'past' (dealt with before), 'early', 'paused' or 'skipped' (it would overlap)
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tasks, task_prefix, paused, expiring = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local unique_prefix, accepted_prefix, stats, schedule = KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local tick, overlap, token, id = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local key, known = schedule, redis.call('HMGET', schedule, 'tick', 'paused_at')
-- include now aside ring push unique earlier tally store parts asked recent

local function enqueue()
  local n, extra = parts_of(4)
  if not earlier(id, task_prefix .. id, extra, true) then
    store(id, task_prefix .. id, 4, n, extra)
    tally_stored()
  end
  note_recent(id)
end

local before = asked_before()
if before then
  return before
elseif tick == 0 then
  enqueue()
  redis.call('HSET', schedule, 'run_id', id, 'run_at', now)
  return 'fired'
elseif tick <= tonumber(known[1] or 0) then
  return 'past'
elseif tick > now then
  return 'early'
end
redis.call('HSET', schedule, 'tick', tick)
local outcome = known[2] and 'paused' or overlap == 'skip' and overlaps() and 'skipped' or 'fired'
if outcome == 'skipped' then
  redis.call('HSET', schedule, 'skipped', tick)
elseif outcome == 'fired' then
  enqueue()
  redis.call('HSET', schedule, 'task_id', id, 'due_at', tick, 'fired_at', now)
end
note_asked(outcome)
return outcome
