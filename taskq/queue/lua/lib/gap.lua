-- Time in which no maintenance of any machine reached Redis counts for no lease: after such a gap all leases that had not
-- ended are prolonged by its length, so that an outage of Redis reruns nothing by itself. Needs: leases, reaper, pause, now.
local last = tonumber(redis.call('GET', reaper) or now)
redis.call('SET', reaper, now)
local gap = now - last
if gap > pause then
  for _, worker_id in ipairs(redis.call('ZRANGEBYSCORE', leases, last, '+inf')) do
    redis.call('ZINCRBY', leases, gap, worker_id)
  end
end
