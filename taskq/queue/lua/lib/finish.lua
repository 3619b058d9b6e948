-- Writes the result of an attempt that may still write. Needs: id, key, result, erred, awaited, wake, stamp.
redis.call('HSET', key, 'status', 'completed', 'result', result, 'settled', 'complete',
  'finished_at', stamp, 'updated_at', stamp)
if erred then
  redis.call('HDEL', key, 'error', 'error_detail')
end
wake(id, awaited)
