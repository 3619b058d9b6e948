#!lua
-- plan: stores an operation on many tasks, to be carried out by maintenance. Repeating it with the same id changes nothing.
-- KEYS[1] operations
-- KEYS[2] open_operations
-- KEYS[3] operation_prefix
-- ARGV[1] id
-- ARGV[2] action as JSON
-- RETURNS when it was stored, in ms
local operations, open_operations, operation_prefix = KEYS[1], KEYS[2], KEYS[3]
local id, action = ARGV[1], ARGV[2]
-- include now
local FORGOTTEN = 20
local key = operation_prefix .. id
if redis.call('EXISTS', key) == 0 then
  redis.call('HSET', key, 'action', action, 'state', 'waiting', 'created_at', now, 'step', 0)
  redis.call('ZADD', operations, now, id)
  redis.call('ZADD', open_operations, now, id)
  for _, old in ipairs(redis.call('ZRANGE', operations, 0, FORGOTTEN - 1)) do
    if redis.call('EXISTS', operation_prefix .. old) == 0 then
      redis.call('ZREM', operations, old)
    end
  end
end
return redis.call('HGET', key, 'created_at')
