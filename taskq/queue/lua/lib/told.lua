-- The answer to a call that was carried out already and whose reply was lost: each call bears a token of its own, under which
-- what it did is kept for a while. Needs: reply_prefix, token.
local KEPT_MS = 600000

local function told_before()
  local told = redis.call('GET', reply_prefix .. token)
  return told and cjson.decode(told)
end

local function tell(reply)
  redis.call('SET', reply_prefix .. token, cjson.encode(reply), 'PX', KEPT_MS)
  return reply
end
