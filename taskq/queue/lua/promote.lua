#!lua flags=allow-oom
-- promote: moves tasks that are due from scheduled to pending, in batches, and wakes workers for parked tasks whose rate
-- allows it again. Drops entries that stand for nothing from the ends of the lists.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] task_prefix
-- KEYS[6] paused
-- KEYS[7] limits
-- ARGV[1] most: tasks to move
-- RETURNS how many were moved, and the ms until the next one, or the next parked one, is due; -1 when
--         none waits for a moment
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local task_prefix, paused, limits = KEYS[5], KEYS[6], KEYS[7]
local most = ARGV[1]
-- include now aside ring push gone rejoin sweep room
local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(due) do
  local key = task_prefix .. id
  local record = redis.pcall('HMGET', key, 'status', 'priority')
  redis.call('ZREM', scheduled, id)
  if not record.err and record[1] == 'scheduled' then
    redis.call('HSET', key, 'status', 'pending', 'ready_at', now, 'updated_at', now)
    redis.call('HDEL', key, 'run_at', 'turn')
    rejoin(record[2], id)
  end
end
for at, list in ipairs({pending, high, low}) do
  sweep(list, KEYS[at] .. ':gone')
end
local next_due = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
local wait = next_due[2] and math.max(0, tonumber(next_due[2]) - now) or -1
for _, type_ in ipairs(redis.call('SMEMBERS', limits .. ':parked')) do
  local delay = refill(type_)
  if delay == false then -- none of this type is parked any more
    redis.call('SREM', limits .. ':parked', type_)
  elseif delay and delay > 0 and (wait < 0 or delay < wait) then
    wait = delay
  end
end
return {#due, wait}
