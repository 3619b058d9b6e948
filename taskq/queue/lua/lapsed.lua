#!lua flags=allow-oom
-- lapsed: names workers whose lease has ended. Time in which no reaper of any machine reached Redis counts for no lease:
-- after such a gap all leases are prolonged by its length, so that an outage of Redis reruns nothing by itself.
-- KEYS[1] leases
-- KEYS[2] reaper
-- ARGV[1] the longest regular pause between two looks, in ms
-- ARGV[2] the most worker ids to return
-- RETURNS worker ids
local leases, reaper = KEYS[1], KEYS[2]
local pause, most = tonumber(ARGV[1]), ARGV[2]
-- include now
local last = tonumber(redis.call('GET', reaper) or now)
redis.call('SET', reaper, now)
local gap = now - last
if gap > pause then
  for _, worker_id in ipairs(redis.call('ZRANGEBYSCORE', leases, last, '+inf')) do
    redis.call('ZINCRBY', leases, gap, worker_id)
  end
end
return redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, most)
