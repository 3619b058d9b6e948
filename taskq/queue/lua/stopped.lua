#!lua flags=allow-oom
-- stopped: forgets the request to stop an attempt that has ended, and frees the place that it still had.
-- KEYS[1] stops
-- KEYS[2] pending
-- KEYS[3] limits
-- ARGV[1] worker_id
-- ARGV[2] id, or '' for whatever that worker was asked to stop
-- ARGV[3] attempt
-- RETURNS 1 if there was a request, else 0
local stops, pending, limits = KEYS[1], KEYS[2], KEYS[3]
local worker_id, id, attempt = ARGV[1], ARGV[2], ARGV[3]
-- include now ring room vacate
local claim = id .. ' ' .. attempt
vacate(worker_id, claim)
local asked, kept = redis.call('HGET', stops, worker_id), {}
for line in string.gmatch(id ~= '' and asked or '', '[^\n]+') do
  if string.sub(line, 1, #claim + 1) ~= claim .. ' ' then
    kept[#kept + 1] = line
  end
end
local left = table.concat(kept, '\n')
if left ~= '' then
  redis.call('HSET', stops, worker_id, left)
else
  redis.call('HDEL', stops, worker_id)
end
return left ~= (asked or '') and 1 or 0
