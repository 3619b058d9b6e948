-- Counts attempts that end, by how long they ran and how long they had waited. Needs: tally, now.
local function bucket_of(ms)
  return ms <= 5 and '1' or ms <= 25 and '2' or ms <= 100 and '3' or ms <= 250 and '4' or ms <= 500 and '5' or ms <= 1000 and '6'
    or ms <= 2500 and '7' or ms <= 5000 and '8' or ms <= 10000 and '9' or ms <= 30000 and '10' or ms <= 60000 and '11'
    or ms <= 300000 and '12' or ms <= 900000 and '13' or ms <= 3600000 and '14' or '15'
end

-- An attempt that ends now, by the moments of its record: how long it ran and how long it had waited, in one counter.
local function tally_attempt(event, type_, ready_at, started_at)
  local began = tonumber(started_at) or now
  local ran, waited = math.max(0, now - began), math.max(0, began - (tonumber(ready_at) or began))
  tally(event, bucket_of(ran) .. '.' .. bucket_of(waited), type_, 1)
  if ran > 0 then
    tally(event, 'ms', type_, ran)
  end
end
