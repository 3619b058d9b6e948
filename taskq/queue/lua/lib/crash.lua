-- What becomes of a claim whose worker or own process is gone. Needs: back, wake, tally, failed, verb, max_crashes, err, detail,
-- now.
-- `moved` collects the reply.
local moved = {}

local function count_crash(id, key, record)
  local crashes = (tonumber(record[6]) or 0) + 1
  redis.call('HSET', key, 'crashes', crashes, 'error', err, 'error_detail', detail)
  if crashes < max_crashes then
    give_back(id, key, record)
  else
    redis.call('HSET', key, 'status', 'failed', 'settled', verb, 'finished_at', stamp, 'updated_at', stamp)
    redis.call('ZADD', failed, stamp, id)
    tally('bury', 'end', record[5], 1)
    wake(id, record[7])
  end
  tally('die', string.match(detail, '"signal":"(%u+)"') or string.find(detail, '"exit_code"') and 'exit' or 'silent', record[5], 1)
  for _, value in ipairs({id, record[4] or '0', crashes < max_crashes and 'pending' or 'failed', crashes, record[5] or ''}) do
    moved[#moved + 1] = value
  end
end
