-- What was answered to this enqueue before; '' and the holder when its unique key is taken; nil when it can be stored.
-- Needs: unique, accepted_prefix. `extra` is where the rarer arguments of the task begin in ARGV, or false.
local function earlier(id, key, extra)
  if extra and ARGV[extra + 2] ~= '' then
    local accepted = redis.call('GET', accepted_prefix .. id)
    if accepted then
      return string.match(accepted, '(%d+) (%d*)')
    end
  end
  if redis.call('EXISTS', key) == 1 then
    local stored = redis.call('HMGET', key, 'created_at', 'run_at')
    return stored[1], stored[2] or ''
  end
  local holder = extra and ARGV[extra] ~= '' and holder_of(ARGV[extra], id)
  if holder then
    return '', holder
  end
end
