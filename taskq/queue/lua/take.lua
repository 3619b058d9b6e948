#!lua flags=allow-oom
-- take: hands the oldest open operation to one maintenance process, for the time of a lease.
-- KEYS[1] open_operations
-- KEYS[2] operation_prefix
-- ARGV[1] holder: the process that asks
-- ARGV[2] lease in ms
-- RETURNS id, then fields and values of the operation; {} when there is none, or when another process has it
local open_operations, operation_prefix = KEYS[1], KEYS[2]
local holder, lease = ARGV[1], tonumber(ARGV[2])
-- include now
local id = redis.call('ZRANGE', open_operations, 0, 0)[1]
if not id then
  return {}
end
local key = operation_prefix .. id
local known = redis.call('HMGET', key, 'state', 'holder', 'held_until')
if not known[1] then
  redis.call('ZREM', open_operations, id)
  return {}
elseif known[2] and known[2] ~= holder and tonumber(known[3]) > now then
  return {}
end
redis.call('HSETNX', key, 'started_at', now)
redis.call('HSET', key, 'state', 'running', 'holder', holder, 'held_until', now + lease)
return {id, unpack(redis.call('HGETALL', key))}
