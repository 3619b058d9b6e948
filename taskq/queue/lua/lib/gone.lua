-- Entries that stay in a list of waiting tasks although their tasks do not wait there any more: to search a long list for one
-- would keep the server from everybody else. A set beside each list names them, so that those that wait can be counted. Whoever
-- comes upon one drops it; a task that waits again has its entry back. KEYS[1] to KEYS[3] are pending, high and low.
local function gone_of(priority)
  return (priority == 'high' and KEYS[2] or priority == 'low' and KEYS[3] or KEYS[1]) .. ':gone'
end
