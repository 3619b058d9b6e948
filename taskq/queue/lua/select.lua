#!lua flags=allow-oom
-- select: finds tasks that are asked for among the next entries of a sorted set, a bounded number of them. Changes nothing.
-- KEYS[1] index: tasks, or the set of those that ended in some way
-- KEYS[2] task_prefix
-- ARGV[1] order: 'up' or 'down' the scores
-- ARGV[2] score of the entry to go on behind, '' to begin at the end of the set
-- ARGV[3] id of that entry
-- ARGV[4] bound: the last score to look at, or ''
-- ARGV[5] most entries to look at
-- ARGV[6] enough: tasks to find
-- ARGV[7] to the last: asked eight conditions, see wanted
-- RETURNS 1 when there is nothing behind what was looked at or 0; score and id of the last entry looked at, or '' and ''; how
--         many these were; then score and id of each task found
local index, task_prefix = KEYS[1], KEYS[2]
local order, score, id, bound = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local most, enough = tonumber(ARGV[5]), tonumber(ARGV[6])
local first = 7
-- include rank wanted
local down = order == 'down'
local skip = 0
if score ~= '' then
  skip = down and redis.call('ZCARD', index) - rank(score, id, false) or rank(score, id, true)
end
local options = down and {'REV', 'WITHSCORES'} or {'WITHSCORES'}
local entries = redis.call('ZRANGE', index, skip, skip + most - 1, unpack(options))
local reply = {#entries < 2 * most and 1 or 0, score, id, 0}
for at = 1, #entries, 2 do
  local here = tonumber(entries[at + 1])
  if bound and (down and here < bound or not down and here > bound) then
    reply[1] = 1
    break
  elseif #reply >= 4 + 2 * enough then
    reply[1] = 0
    break
  end
  reply[2], reply[3], reply[4] = entries[at + 1], entries[at], reply[4] + 1
  if wanted(entries[at]) then
    reply[#reply + 1], reply[#reply + 2] = entries[at + 1], entries[at]
  end
end
return reply
