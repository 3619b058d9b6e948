-- Ends a claimed task that has waited too long, instead of starting it. Needs: expire, processing, now.
-- What was ended is put behind the reply, for the log: id, attempt, type.
local expired

local function overdue(id, key, record)
  local attempt, type_, expires_at = record[4] or '0', record[5], tonumber(record[12])
  if not expires_at or expires_at > now then
    return false
  end
  redis.call('LREM', processing, 1, id)
  expire(id, key)
  expired = expired or {}
  for _, value in ipairs({id, attempt, type_}) do
    expired[#expired + 1] = value
  end
  return true
end

local function with_expired(reply)
  for _, value in ipairs(expired or {}) do
    reply[#reply + 1] = value
  end
  return reply
end
