-- Stands in for `tally` where many attempts end at once: adds up what is counted, until `tally_sums` writes it. Needs: stats.
local sums = {}

local function tally_sums()
  -- include tally
  for _, sum in pairs(sums) do
    tally(unpack(sum, 1, 4))
  end
end

local function tally(event, part, type_, by)
  local field = event .. ':' .. part .. ':' .. (type_ or '')
  local sum = sums[field]
  if sum then
    sum[4] = sum[4] + by
  else
    sums[field] = {event, part, type_, by}
  end
end
