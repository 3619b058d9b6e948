#!lua
-- enqueue: stores new tasks as pending or, when they are due later, as scheduled. At maxmemory nothing is stored.
-- Repeating it with the same ids changes nothing.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] tasks
-- KEYS[6] task_prefix
-- KEYS[7] paused
-- ARGV    for each task: id, priority, delay in ms, absolute due time in ms or '', n, then n fields and values of the record
-- RETURNS for each task: created_at in ms, run_at in ms or ''
local pending, high, low = KEYS[1], KEYS[2], KEYS[3]
local scheduled, tasks, task_prefix, paused = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
-- include now aside push
local replies = {}
local at = 1
while at <= #ARGV do
  local id, priority, delay, run_at, n = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4]
  local key = task_prefix .. id
  local due = run_at or now + delay
  if redis.call('EXISTS', key) == 0 then
    local status = due > now and 'scheduled' or 'pending'
    redis.call('HSET', key, 'v', 1, 'status', status, 'priority', priority, 'created_at', now, 'updated_at', now,
      unpack(ARGV, at + 5, at + 4 + n))
    redis.call('ZADD', tasks, now, id)
    if due > now then
      redis.call('HSET', key, 'run_at', due)
      redis.call('ZADD', scheduled, due, id)
    else
      redis.call('HSET', key, 'ready_at', now)
      push(priority, id, false)
    end
  end
  local stored = redis.call('HMGET', key, 'created_at', 'run_at')
  replies[#replies + 1] = stored[1]
  replies[#replies + 1] = stored[2] or ''
  at = at + 5 + n
end
return replies
