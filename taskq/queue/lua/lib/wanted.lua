-- Which tasks are asked for. From `first` on ARGV has the statuses between spaces, the type, one of the tags, the kind of the
-- error, and the bounds (the first in, the last out) of created_at and of finished_at in ms; '' for any. Needs: first,
-- task_prefix.
local function among(value, asked)
  return string.find(asked, ' ' .. value .. ' ', 1, true) ~= nil
end

local function same(value, asked)
  return value == asked
end

local function tagged(value, asked)
  return string.find(',' .. value .. ',', ',' .. asked .. ',', 1, true) ~= nil
end

local function of_kind(value, asked)
  local opening = '{"kind":"' .. asked .. '"'
  return string.sub(value, 1, #opening) == opening
end

local function from(value, asked)
  return (tonumber(value) or 0) >= tonumber(asked)
end

local function before(value, asked)
  return (tonumber(value) or math.huge) < tonumber(asked)
end

local FIELDS = {'status', 'type', 'tags', 'error_detail', 'created_at', 'created_at', 'finished_at', 'finished_at'}
local TESTS = {among, same, tagged, of_kind, from, before, from, before}
local fields, tests = {}, {}
for i, field in ipairs(FIELDS) do
  if ARGV[first + i - 1] ~= '' then
    fields[#fields + 1], tests[#tests + 1] = field, {TESTS[i], ARGV[first + i - 1]}
  end
end

local function wanted(id)
  local record = #fields > 0 and redis.pcall('HMGET', task_prefix .. id, unpack(fields)) or {}
  for i, test in ipairs(record.err and {} or tests) do
    if not record[i] or not test[1](record[i], test[2]) then
      return false
    end
  end
  return not record.err
end
