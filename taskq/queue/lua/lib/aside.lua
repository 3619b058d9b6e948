-- While its queue is paused, whatever waits stands aside, in lists that no claim looks into. Needs: pending, high, low, paused.
-- From here on these three names mean the lists in which tasks wait now.
if redis.call('EXISTS', paused) == 1 then
  pending, high, low = pending .. ':paused', high .. ':paused', low .. ':paused'
end
