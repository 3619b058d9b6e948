#!lua flags=allow-oom
-- halt: asks that an operation go no further; it ends after the step that it is in. Repeating it changes nothing.
-- KEYS[1] operation_prefix
-- ARGV[1] id
-- RETURNS the state it is in, or '' when there is none
local operation_prefix = KEYS[1]
local id = ARGV[1]
local key = operation_prefix .. id
local state = redis.call('HGET', key, 'state')
if state == 'waiting' or state == 'running' then
  redis.call('HSET', key, 'stop', '1')
end
return state or ''
