-- What was answered to this enqueue before; '' and the holder when its unique key is taken; nil when it can be stored.
-- Needs: now, unique, tasks, accepted_prefix. `extra` is where the rarer arguments of the task begin in ARGV, or false. With
-- `list` a task that can be stored is put into the listing, which tells in the same command whether it is new.
local function earlier(id, key, extra, list)
  if extra and ARGV[extra + 2] ~= '' then
    local accepted = redis.call('GET', accepted_prefix .. id)
    if accepted then
      return string.match(accepted, '(%d+) (%d*)')
    end
  end
  local unique_key = extra and ARGV[extra] ~= '' and ARGV[extra]
  local is_new = list and not unique_key and redis.call('ZADD', tasks, 'NX', now, id) == 1
  local stored = is_new and {} or redis.call('HMGET', key, 'created_at', 'run_at')
  if stored[1] then
    return stored[1], stored[2] or ''
  end
  local holder = unique_key and holder_of(unique_key, id)
  if holder then
    return '', holder
  elseif list and not is_new then
    redis.call('ZADD', tasks, now, id)
  end
end
