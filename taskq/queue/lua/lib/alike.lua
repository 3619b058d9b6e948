-- The tasks of an enqueue_alike: how many they are, their keys, when they are due, and `scored`, what a sorted set takes; and
-- the `answer` if it was given before. Needs: now, task_prefix, pending, high, low, paused, delay, run_at, last.
local due = run_at == '' and now + delay or tonumber(run_at)
local created, later = stamp, due > now
local moment = later and string.format('%.0f', due) or created
local count, keys, scored, answer = (#ARGV - last) / 2, {}, {}, nil
for at = 1, count do
  local id = ARGV[last + at]
  keys[at], scored[2 * at - 1], scored[2 * at] = task_prefix .. id, created, id
end

local function put_in(set, score)
  for at = 1, count do
    scored[2 * at - 1] = score
  end
  redis.call('ZADD', set, unpack(scored))
end

if redis.call('EXISTS', paused, unpack(keys)) > 0 then -- one look for all that is seldom there
  for _, key in ipairs(keys) do
    local stored = redis.call('HMGET', key, 'created_at', 'run_at')
    if stored[1] then -- as they came together, any of them tells about all
      answer = stored[1] .. (stored[2] and ' ' .. stored[2] or '')
    end
  end
  -- include aside
end
