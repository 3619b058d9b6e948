-- The answer to a request that was carried out already and whose reply was lost: each call bears a token of its own, which
-- stays in the record with the status that the task had before. Needs: key, token.
local function asked_before()
  local asked = redis.call('HGET', key, 'asked')
  if asked and string.sub(asked, 1, #token) == token then
    return string.sub(asked, #token + 2)
  end
end

local function note_asked(was)
  redis.call('HSET', key, 'asked', token .. ' ' .. was)
end
