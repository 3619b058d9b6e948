#!lua
-- enqueue_alike: stores new tasks that differ in nothing but id and payload, as pending or, when they are due later, as
-- scheduled: all of them or none. At maxmemory nothing is stored. Repeating it with the same ids changes nothing.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] tasks
-- KEYS[6] task_prefix
-- KEYS[7] paused
-- KEYS[8] expiring
-- KEYS[9] stats
-- ARGV[1] priority
-- ARGV[2] delay in ms
-- ARGV[3] run_at: absolute due time in ms or ''
-- ARGV[4] expires_in: how long they may wait in ms or ''
-- ARGV[5] type_ of all of them
-- ARGV[6] last: where the other fields end that all records have
-- ARGV[7] to the last: rest: those fields and values; then the ids; then for each of them a payload or ''
-- RETURNS created_at in ms; for scheduled tasks a space and run_at in ms behind it
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local tasks, task_prefix, paused, expiring, stats = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local priority, delay, run_at, expires_in, type_, last = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
-- include now ring tally alike
if answer then
  return answer
end
local status, waits = later and 'scheduled' or 'pending', later and 'run_at' or 'ready_at'
for at, key in ipairs(keys) do
  local has, value = 'payload', ARGV[last + count + at]
  if value == '' then -- then its record has none, and says something else once more
    has, value = 'v', '1'
  end
  redis.call('HSET', key, 'v', '1', 'status', status, 'priority', priority, 'created_at', created,
    'updated_at', created, waits, moment, 'type', type_, has, value, unpack(ARGV, 7, last))
end
redis.call('ZADD', tasks, unpack(scored))
if later then
  put_in(scheduled, moment)
else
  redis.call('LPUSH', priority == 'high' and high or priority == 'low' and low or pending, unpack(ARGV, last + 1, last + count))
  if priority ~= 'normal' then
    ring()
  end
end
if expires_in ~= '' then
  local ends = string.format('%.0f', now + expires_in)
  put_in(expiring, ends)
  for _, key in ipairs(keys) do
    redis.call('HSET', key, 'expires_in', expires_in, 'expires_at', ends)
  end
end
tally('enqueue', 'in', type_, count)
return later and created .. ' ' .. moment or created
