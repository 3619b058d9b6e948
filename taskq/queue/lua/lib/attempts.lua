-- Counts attempts that end, by how long they ran and how long they had waited. Needs: tally, now.
local function bucket_of(ms)
  local BOUNDS_MS = {5, 25, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000}
  for bucket, bound in ipairs(BOUNDS_MS) do
    if ms <= bound then
      return bucket
    end
  end
  return #BOUNDS_MS + 1
end

-- An attempt that ends now, by the moments of its record: how long it ran and how long it had waited, in one counter.
local function tally_attempt(event, type_, ready_at, started_at)
  local began = tonumber(started_at) or now
  local ran, waited = math.max(0, now - began), math.max(0, began - (tonumber(ready_at) or began))
  -- the shortest are the many: for them no table is built
  tally(event, (ran <= 5 and 1 or bucket_of(ran)) .. '.' .. (waited <= 5 and 1 or bucket_of(waited)), type_, 1)
  if ran > 0 then
    tally(event, 'ms', type_, ran)
  end
end
