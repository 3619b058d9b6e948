-- Time in which no maintenance of any machine reached Redis counts for no lease: after such a gap all leases that had not
-- ended are prolonged by its length, so that an outage of Redis reruns nothing by itself. A clock that was put forward looks the
-- same; with one that was put back all leases go back, so that nobody who falls silent keeps its tasks until the clock has caught
-- up. Needs: leases, reaper, pause, now.
local last = tonumber(redis.call('GET', reaper) or now)
redis.call('SET', reaper, now)
local gap = now - last
if gap > pause or gap < 0 then
  for _, worker_id in ipairs(redis.call('ZRANGEBYSCORE', leases, gap < 0 and '-inf' or last, '+inf')) do
    redis.call('ZINCRBY', leases, gap, worker_id)
  end
end
