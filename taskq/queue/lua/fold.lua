#!lua
-- fold: adds what the counters have grown by to the totals, and to the minute and the hour in which that was, in batches.
-- The first call of a minute sets the counters aside as those of the minute before, and they begin anew. Repeating it goes on
-- with what is left. At maxmemory it waits: nothing is lost by that.
-- KEYS[1] stats
-- ARGV[1] most: about so many counters are moved
-- ARGV[2] bound: counters that a minute or an hour may have, and the totals fifty times as many
-- RETURNS 1 when there is more to do at once or 0, then the ms until the minute is over
local stats = KEYS[1]
local most, bound = tonumber(ARGV[1]), tonumber(ARGV[2])
local aside, mark = stats .. ':aside', stats .. ':minute'
-- include now grow
local minute = math.floor(now / 60000)
local known = tonumber(redis.call('GET', mark))
if known ~= minute and redis.call('EXISTS', aside) == 0 then
  if known and redis.call('TYPE', stats).ok == 'hash' then
    redis.call('RENAME', stats, aside)
    redis.call('HSET', aside, 'minute', minute - 1)
  end
  redis.call('SET', mark, minute)
end
local cursor, moved = '0', 0
repeat
  local found = redis.call('HSCAN', aside, cursor, 'COUNT', most)
  cursor = found[1]
  for i = 1, #found[2], 2 do
    if found[2][i] ~= 'minute' then
      moved = moved + redis.call('HDEL', aside, found[2][i])
      grow(found[2][i], tonumber(found[2][i + 1]))
    end
  end
until cursor == '0' or moved >= most
if moved > 0 then
  note_grown(redis.call('HGET', aside, 'minute'))
end
if cursor == '0' then
  redis.call('DEL', aside)
end
return {redis.call('EXISTS', aside), 60000 - now % 60000}
