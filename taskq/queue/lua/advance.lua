#!lua flags=allow-oom
-- advance: notes what became of one step of an operation and what the next one is. Only its holder may, and each step once.
-- KEYS[1] open_operations
-- KEYS[2] operation_prefix
-- ARGV[1] id
-- ARGV[2] holder
-- ARGV[3] step that was done
-- ARGV[4] matched so far
-- ARGV[5] done so far
-- ARGV[6] skipped so far
-- ARGV[7] failed so far
-- ARGV[8] errors as JSON, the first ones
-- ARGV[9] rest: what is left to do as JSON, '' when that is nothing
-- ARGV[10] kept: how long an operation that has ended is kept, in ms
-- RETURNS the state it is in now, or '' when it is not the caller's any more
local open_operations, operation_prefix = KEYS[1], KEYS[2]
local id, holder, step, matched, done, skipped = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local failed, errors, rest, kept = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
-- include now
local key = operation_prefix .. id
local known = redis.call('HMGET', key, 'holder', 'step', 'stop', 'state')
if known[1] ~= holder or tonumber(known[2]) ~= tonumber(step) then
  return known[1] == holder and tonumber(known[2]) == step + 1 and known[4] or ''
end
redis.call('HSET', key, 'step', step + 1, 'matched', matched, 'done', done, 'skipped', skipped, 'failed', failed,
  'errors', errors, 'rest', rest, 'updated_at', now)
if rest ~= '' and not known[3] then
  return 'running'
end
local state = rest == '' and 'completed' or 'stopped'
redis.call('HSET', key, 'state', state, 'finished_at', now)
redis.call('ZREM', open_operations, id)
redis.call('PEXPIRE', key, kept)
return state
