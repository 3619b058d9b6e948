-- Puts a claim back at the head of the list from which it came. Needs: push, park, verb, now.
local function claim_at(key)
  return redis.pcall('HMGET', key, 'status', 'worker_id', 'priority', 'attempt', 'type', 'crashes', 'awaited', 'turn')
end

local function give_back(id, key, record)
  redis.call('HSET', key, 'status', 'pending', 'settled', verb, 'ready_at', stamp, 'updated_at', stamp)
  if record[8] then -- its turn among those of its limited type
    park(id, record[5], score_of(record[3], record[8]))
  else
    push(record[3], id, true)
  end
end
