#!lua flags=allow-oom
-- promote: moves tasks that are due from scheduled to pending, in batches.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] task_prefix
-- KEYS[6] paused
-- ARGV[1] most: tasks to move
-- RETURNS how many were moved, and the ms until the next one is due or -1 when none waits
local pending, high, low, scheduled, task_prefix, paused = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local most = ARGV[1]
-- include now aside push
local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(due) do
  local key = task_prefix .. id
  local record = redis.pcall('HMGET', key, 'status', 'priority')
  redis.call('ZREM', scheduled, id)
  if not record.err and record[1] == 'scheduled' then
    redis.call('HSET', key, 'status', 'pending', 'ready_at', now, 'updated_at', now)
    redis.call('HDEL', key, 'run_at')
    push(record[2], id, false)
  end
end
local next_due = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
return {#due, next_due[2] and math.max(0, tonumber(next_due[2]) - now) or -1}
