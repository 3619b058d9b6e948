-- Ends a claimed task that has waited too long, instead of starting it. Needs: expire, processing, id, key, record, expired.
-- It is put to the `expired`, which stand behind the reply, for the log: id, attempt, type.
redis.call('LREM', processing, 1, id)
expire(id, key)
expired = expired or {}
for _, value in ipairs({id, record[4] or '0', record[5]}) do
  expired[#expired + 1] = value
end
