#!lua flags=allow-oom
-- stopped: forgets the stop request of a worker whose attempt has ended, and frees the place that the attempt still had.
-- KEYS[1] stops
-- KEYS[2] pending
-- KEYS[3] limits
-- ARGV[1] worker_id
-- ARGV[2] id
-- ARGV[3] attempt
-- RETURNS 1 if there was a request, else 0
local stops, pending, limits = KEYS[1], KEYS[2], KEYS[3]
local worker_id, id, attempt = ARGV[1], ARGV[2], ARGV[3]
-- include now ring room vacate
vacate(worker_id, id .. ' ' .. attempt)
return redis.call('HDEL', stops, worker_id)
