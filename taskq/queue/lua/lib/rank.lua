-- How many entries of a sorted set come before a place, which is a score and an id, or not after it; found by halving, since
-- the server can only tell the rank of an entry that is there. Needs: index.
local function rank(score, id, inclusive)
  local low = redis.call('ZCOUNT', index, '-inf', '(' .. score)
  local high = low + redis.call('ZCOUNT', index, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('ZRANGE', index, middle, middle)[1]
    if entry < id or inclusive and entry == id then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end
