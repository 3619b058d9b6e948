#!lua
-- progress: notes how far running attempts have come. One that does not hold its task any more changes nothing.
-- KEYS[1] task_prefix
-- KEYS[2] processing_prefix
-- ARGV    for each attempt: worker_id, id, attempt, progress as JSON
-- RETURNS how many were noted
local task_prefix, processing_prefix = KEYS[1], KEYS[2]
-- include now holds
local noted = 0
for i = 1, #ARGV, 4 do
  local worker_id, id, attempt, progress = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if holds(worker_id, id, attempt) == 'processing' then
    redis.call('HSET', task_prefix .. id, 'progress', progress, 'updated_at', now)
    noted = noted + 1
  end
end
return noted
