-- How many workers of the queue are live, how many of these hold nothing (-1 if there are more than `most`), and when the last
-- of the others began what it runs ('': none did). Needs: leases, processing_prefix, task_prefix, now.
local function crowd(most)
  local live = redis.call('ZCOUNT', leases, '(' .. now, '+inf')
  if live > most then
    return {live, -1, ''}
  end
  local idle, since = 0, ''
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf')) do
    local held = redis.call('LRANGE', processing_prefix .. worker, -2, -1) -- of several it runs the oldest
    local task = held[2] ~= '!' and held[2] or held[1] ~= '!' and held[1]
    local began = task and redis.call('HGET', task_prefix .. task, 'started_at')
    if not task then
      idle = idle + 1
    elseif began and (since == '' or tonumber(began) > tonumber(since)) then
      since = began
    end
  end
  return {live, idle, since}
end
