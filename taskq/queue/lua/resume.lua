#!lua flags=allow-oom
-- resume: puts what pause has set aside back in its place, and wakes the workers that wait.
-- KEYS[1] pending
-- KEYS[2] high
-- KEYS[3] low
-- KEYS[4] paused
-- KEYS[5] limits
-- KEYS[6] reply_prefix
-- ARGV[1] token of this call, the same when it is repeated
-- RETURNS whether the queue was paused, 1 or 0, and 1, or 0 when the call must be repeated to put back the rest
local pending, high, low, paused, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local reply_prefix = KEYS[6]
local token = ARGV[1]
-- include ring shift told
local before = told_before()
if before then
  return before
end
for _, list in ipairs({pending, high, low}) do -- first the one that a bell is hung up in
  local aside = list .. ':paused'
  if redis.call('EXISTS', aside) == 1 then
    if not shift(list, aside) then
      return {1, 0}
    end
    redis.call('RENAME', aside, list)
    if list ~= pending then
      ring()
    end
  end
end
if redis.call('EXISTS', limits .. ':ready') == 1 then
  ring()
end
return redis.call('DEL', paused) == 1 and tell({1, 1}) or {0, 1}
