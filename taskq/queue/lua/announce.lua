#!lua flags=allow-oom
-- announce: puts a queue among the known ones, also at maxmemory: its workers must be able to join.
-- KEYS[1] queues
-- ARGV[1] name of the queue
-- RETURNS 1 when it was not known before, else 0
local queues = KEYS[1]
local name = ARGV[1]
return redis.call('SADD', queues, name)
