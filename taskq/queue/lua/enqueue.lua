#!lua
-- enqueue: stores new tasks as pending or, when they are due later, as scheduled. At maxmemory nothing is stored.
-- A task whose unique key another one holds is not stored; nor is any task then, if all or none shall be.
-- Repeating it with the same ids changes nothing.
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
-- ARGV[1] whole: '1' for all or none, else '0'
-- ARGV    for each task: id, priority, delay in ms, absolute due time in ms or '', n, m, then n fields and values of the
--         record, the type first, then m = 0, or 3: its unique key or '', how long it may wait in ms or '', how long a repeat is known in ms or ''
-- RETURNS for each task: created_at in ms, run_at in ms or ''; for one that is not stored '', the id of the holder of its key or ''
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tasks, task_prefix, paused, expiring = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local unique_prefix, accepted_prefix, stats = KEYS[9], KEYS[10], KEYS[11]
local whole = ARGV[1]
-- include now aside ring push unique earlier tally store parts
local function each(visit)
  local replies, at = {}, 2
  while at <= #ARGV do
    local n, extra, next_at = parts_of(at)
    replies[#replies + 1], replies[#replies + 2] = visit(ARGV[at], task_prefix .. ARGV[at], at, n, extra)
    at = next_at
  end
  return replies
end

local held = false
local function look(id, key, at, n, extra)
  local created, holder = earlier(id, key, extra)
  held = held or created == ''
  return '', created == '' and holder or ''
end

local function enqueue(id, key, at, n, extra)
  local created, shown = earlier(id, key, extra, true)
  if created then
    return created, shown
  end
  return now, store(id, key, at, n, extra)
end

local refusals = whole == '1' and each(look)
local replies = held and refusals or each(enqueue)
tally_stored()
return replies
