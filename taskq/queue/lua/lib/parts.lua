-- Where the arguments of a task that begin at `at` have what: returns n, where the rarer ones begin or false, and where the next
-- task begins. The header of enqueue tells them.
local function parts_of(at)
  local n, m = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  return n, m > 0 and at + 6 + n, at + 6 + n + m
end
