#!lua
-- output: keeps what an attempt has printed, in blocks by their offset. Of all attempts of a task the newest blocks are kept.
-- One that neither holds its task nor was ended by a cancel changes nothing.
-- KEYS[1] task_prefix
-- KEYS[2] processing_prefix
-- KEYS[3] output_prefix
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- ARGV[4] keep: the most blocks of the task to keep
-- ARGV[5] to the last: offset and content of each block
-- RETURNS 'ok' or 'stale'
local task_prefix, processing_prefix, output_prefix = KEYS[1], KEYS[2], KEYS[3]
local worker_id, id, attempt, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
-- include holds
local status = holds(worker_id, id, attempt)
if status ~= 'processing' and status ~= 'cancelled' then
  return 'stale'
end
local key = output_prefix .. id
for i = 5, #ARGV, 2 do
  local field = attempt .. ':' .. ARGV[i]
  -- two processes send the output of one attempt: what was sent earlier and came later is shorter
  if redis.call('HSTRLEN', key, field) < #ARGV[i + 1] then
    redis.call('HSET', key, field, ARGV[i + 1])
  end
end
local function newer(a, b)
  return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2])
end
if redis.call('HLEN', key) > keep then
  local found = {}
  for i, field in ipairs(redis.call('HKEYS', key)) do
    local number, offset = string.match(field, '(%d+):(%d+)')
    found[i] = {tonumber(number), tonumber(offset), field}
  end
  table.sort(found, newer)
  for i = keep + 1, #found do
    redis.call('HDEL', key, found[i][3])
  end
end
return 'ok'
