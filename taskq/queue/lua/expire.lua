#!lua flags=allow-oom
-- expire: ends waiting tasks that have waited longer than they may, as failed, in batches. One that is running, or claimed
-- and not started, is looked at again later: it may come back.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] scheduled
-- KEYS[5] failed
-- KEYS[6] expiring
-- KEYS[7] task_prefix
-- KEYS[8] paused
-- KEYS[9] limits
-- KEYS[10] reply_prefix
-- KEYS[11] stats
-- ARGV[1] most: the most tasks to look at
-- ARGV[2] recheck: the ms until one that cannot be ended now is looked at again
-- ARGV[3] token of this call, the same when it is repeated
-- RETURNS 1 when there is more to do at once or 0, then for each task that was ended: its id, attempt and type
local pending, high, low, scheduled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local failed, expiring, task_prefix, paused, limits = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local reply_prefix, stats = KEYS[10], KEYS[11]
local most, recheck, token = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
-- include now aside wake tally expire gone unlist unpark told
local before = told_before()
if before then
  return before
end

local function taken_out(id, record)
  return unpark(id, record[4], record[6]) or unlist(id, record[2]) or abandon(id, record[2])
end

local due = redis.call('ZRANGEBYSCORE', expiring, '-inf', now, 'LIMIT', 0, most)
local ended = {#due == most and 1 or 0}
for _, id in ipairs(due) do
  local key = task_prefix .. id
  local record = redis.pcall('HMGET', key, 'status', 'priority', 'attempt', 'type', 'v', 'turn')
  local waiting = not record.err and record[5] == '1' and (record[1] == 'pending' and taken_out(id, record)
    or record[1] == 'scheduled' and redis.call('ZREM', scheduled, id) == 1)
  if waiting then
    expire(id, key)
    for _, value in ipairs({id, record[3] or '0', record[4] or ''}) do
      ended[#ended + 1] = value
    end
  end
  if not waiting and not record.err and (record[1] == 'processing' or record[1] == 'pending') then
    redis.call('ZADD', expiring, now + recheck, id)
  else
    redis.call('ZREM', expiring, id)
  end
end
return #ended > 1 and tell(ended) or ended
