#!lua flags=allow-oom
-- standing: tells where a pending task stands and who could take it. Changes nothing.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] paused
-- KEYS[5] leases
-- KEYS[6] limits
-- KEYS[7] processing_prefix
-- KEYS[8] task_prefix
-- ARGV[1] id
-- ARGV[2] priority
-- ARGV[3] type_
-- ARGV[4] look: how far into its list the task is looked for
-- ARGV[5] most_bells: so many of them are looked for
-- ARGV[6] most_workers: of more it is not told whether they are busy
-- ARGV[7] rank: the score from which parked tasks are not of a higher priority
-- RETURNS the hash `paused`; index of the task in its list or -1, length of that, indexes of the bells in `pending`, tasks in the
--         lists of higher priorities; how many entries of its list may stand for nothing, and of those before it how many do, or -1; live workers, those that hold nothing or -1, when the last of the others began in ms or '';
--         what the limits of its type count, see bound
local pending, high, low, paused = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local leases, limits, processing_prefix, task_prefix = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, priority, type_, look = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local most_bells, most_workers, rank = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local pause = redis.call('HGETALL', paused)
-- include now aside gone crowd bound
local LOOK = 1000
local above = 0
if priority ~= 'high' then
  above = redis.call('LLEN', high) - redis.call('SCARD', gone_of('high'))
end
if priority == 'low' then
  above = above + redis.call('LLEN', pending) - redis.call('SCARD', gone_of('normal'))
end
local list = priority == 'high' and high or priority == 'low' and low or pending
local index = redis.call('LPOS', list, id, 'RANK', -1, 'MAXLEN', look) or -1
local bells = redis.call('LPOS', pending, '!', 'RANK', -1, 'COUNT', 0, 'MAXLEN', most_bells)
local length, void, void_before = redis.call('LLEN', list), redis.call('SCARD', gone_of(priority)), -1
if void > 0 and index >= 0 and length - index <= LOOK then
  void_before = 0
  for _, state in ipairs(redis.call('SMISMEMBER', gone_of(priority), unpack(redis.call('LRANGE', list, index, -1)))) do
    void_before = void_before + state
  end
end
return {pause, index, length, bells, above, void, void_before, crowd(most_workers), bound(id, type_, rank)}
