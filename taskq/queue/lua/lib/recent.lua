-- The tasks that a schedule has enqueued lately, the newest first. One that has ended may come back (requeue) and counts again
-- then; of many that have not ended, MOST are kept. Needs: schedule, task_prefix, overlap.
local KEPT, MOST = 20, 200

local function recent()
  return string.gmatch(redis.call('HGET', schedule, 'recent') or '', '%S+')
end

local function lives(id)
  local record = redis.pcall('HMGET', task_prefix .. id, 'status')
  return record[1] and not string.find('completed failed cancelled', record[1], 1, true)
end

local function overlaps()
  for id in recent() do
    if lives(id) then
      return true
    end
  end
end

local function note_recent(id)
  local ids = {id}
  for other in recent() do
    local needed = #ids < KEPT or (overlap == 'skip' and #ids < MOST and lives(other))
    if other ~= id and needed then
      ids[#ids + 1] = other
    end
  end
  redis.call('HSET', schedule, 'recent', table.concat(ids, ' '))
end
