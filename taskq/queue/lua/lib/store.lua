-- Puts a new task into Redis; the header of enqueue tells the arguments. Needs: now, push, unique, tally, scheduled,
-- expiring, accepted_prefix.
-- `extra` is where the rarer arguments of the task begin in ARGV, or false.

local taken = {} -- how many tasks of each type were stored

local function note_extra(id, key, due, extra)
  local unique_key, expires_in, known = ARGV[extra], ARGV[extra + 1], ARGV[extra + 2]
  if unique_key ~= '' then
    redis.call('HSET', key, 'unique_key', unique_key)
    hold(unique_key, id)
  end
  if expires_in ~= '' then
    redis.call('HSET', key, 'expires_in', expires_in, 'expires_at', now + expires_in)
    redis.call('ZADD', expiring, now + expires_in, id)
  end
  if known ~= '' then
    redis.call('SET', accepted_prefix .. id, string.format('%.0f %s', now, due), 'PX', known)
  end
end

local function store(id, key, at, n, extra)
  local priority, delay, run_at = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local due = run_at or now + delay
  local later = due > now
  redis.call('HSET', key, 'v', 1, 'status', later and 'scheduled' or 'pending', 'priority', priority, 'created_at', stamp,
    'updated_at', stamp, later and 'run_at' or 'ready_at', later and due or stamp, unpack(ARGV, at + 6, at + 5 + n))
  local type_ = ARGV[at + 7]
  taken[type_] = (taken[type_] or 0) + 1
  if later then
    redis.call('ZADD', scheduled, due, id)
  else
    push(priority, id, false)
  end
  if extra then
    note_extra(id, key, later and string.format('%.0f', due) or '', extra)
  end
  return later and due or ''
end

local function tally_stored()
  for type_, count in pairs(taken) do
    tally('enqueue', 'in', type_, count)
  end
end
