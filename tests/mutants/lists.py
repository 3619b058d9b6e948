"""Mutations of where tasks wait, of what is counted, of operations on many and of the way to Redis."""

from __future__ import annotations

from tests.mutants.mutation import lua, python

BELLS = [
    lua(
        "push: no bell for high",
        "lib/push",
        "redis.call(command, high, id)\n    ring()",
        "redis.call(command, high, id)",
        "bell",
    ),
    lua(
        "push: no bell for low",
        "lib/push",
        "redis.call(command, low, id)\n    ring()",
        "redis.call(command, low, id)",
        "bell",
    ),
    lua("claim: bell not rung anew", "lib/claim", "claimed[1] == 'task' and (", "false and (", "bell"),
    lua("claim: bell lost among dead entries", "lib/claim", "rung and (not claimed or", "rung and (claimed and", "bell"),
]

LISTS = [
    lua(
        "claim: own list not looked at",
        "lib/take",
        "id = redis.call('LINDEX', processing, '-1')",
        "id = false",
        "claim",
    ),
    lua("claim: own list overlooked", "lib/claim", "high, processing)", "high)", "claim"),
    lua("claim: high priority overlooked", "lib/claim", "limits, high,", "limits,", "priority"),
    lua("promote: status not checked", "promote", " and record[1] == 'scheduled' then", " then", "promote"),
    lua("promote: left in scheduled", "promote", "  redis.call('ZREM', scheduled, id)\n", "", "promote"),
    lua("enqueue: repeat stored again", "lib/earlier", "if stored[1] then", "if false then", "enqueue"),
    lua("enqueue alike: repeat stored again", "lib/alike", "if stored[1] then", "if false then", "enqueue"),
    lua("enqueue alike: new tasks not set aside", "lib/alike", "  -- include aside\n", "", "enqueue"),
    lua("enqueue alike: no bell", "enqueue_alike", "if priority ~= 'normal' then", "if false then", "enqueue"),
    lua("cancel: left in pending", "lib/unlist", "redis.call('LREM', list, rank, id) == 1", "true", "cancel"),
    lua("gone: a long list searched", "lib/unlist", "'MAXLEN', NEAR", "'MAXLEN', 0", "gone"),
    lua("gone: not noted", "lib/unlist", "redis.call('SADD', gone_of(priority), id) == 1", "true", "gone"),
    python("gone: counted as waiting", "queue/inspect", "len(aside or ()) - gone),", "len(aside or ())),", "gone"),
    lua("gone: noted for ever", "lib/start", "  dropped(id)\n", "", "gone"),
    lua("gone: noted for ever by reap and purge", "lib/dropped", "redis.call('SREM', KEYS[at] .. ':gone', id)", "", "gone"),
    lua("gone: two entries after a requeue", "lib/rejoin", "id) == 0 then", "id) >= 0 then", "gone"),
    lua("gone: swept with those that wait", "lib/sweep", "states[first - 1] == 1 or", "true or", "gone"),
    lua("gone: a bell swept away", "lib/sweep", "    if rung then\n      ring()\n    end\n", "", "gone"),
    lua("gone: counted as ahead", "standing", "void_before = void_before + state", "", "gone"),
    lua(
        "cancel: left with its worker",
        "lib/withdraw",
        "redis.call('LREM', processing_prefix .. worker_id, 1, id)\n      local asked",
        "local asked",
        "cancel",
    ),
    lua(
        "requeue: of a task that has not ended",
        "requeue",
        "local ended = record[1] == 'failed' or record[1] == 'cancelled'",
        "local ended = true",
        "requeue",
    ),
    lua(
        "cancel: worker not told", "lib/withdraw", "redis.call('HSET', stops, worker_id, asked", "local _ = (asked", "cancel"
    ),
    lua(
        "cancel: of a task that has ended",
        "cancel",
        "if record[1] == 'pending' or record[1] == 'scheduled' or record[1] == 'processing' then",
        "if true then",
        "cancel",
    ),
    lua(
        "requeue: left among the ended",
        "requeue",
        "  redis.call('ZREM', record[1] == 'failed' and failed or cancelled, id)\n",
        "",
        "requeue",
    ),
    lua("trim: kept time ignored", "trim", "'-inf', now - kept,", "'-inf', now,", "trim"),
    lua("pause: new tasks not set aside", "enqueue", "-- include now aside ring push", "-- include now ring push", "pause"),
    lua(
        "pause: claims that were not started left with workers",
        "pause",
        "in ipairs(unstarted()) do",
        "in ipairs({}) do",
        "pause",
    ),
    lua("expire: started all the same", "lib/start", "record[12] and tonumber(record[12]) <= now", "false", "expire"),
    lua("unique: key not looked at", "lib/unique", "if holder and holder ~= id then", "if false then", "unique"),
]

OPERATIONS = [
    lua(
        "operation: task that ended later not spared", "lib/spared", "> tonumber(upto)", "> 2 * tonumber(upto)", "operations"
    ),
    lua("operation: task in another status not spared", "lib/spared", "status ~= only then", "false then", "operations"),
    lua(
        "operation: two holders", "take", "known[2] ~= holder and tonumber(known[3]) > now then", "false then", "operations"
    ),
    lua(
        "operation: step noted by one who lost it",
        "advance",
        "if known[1] ~= holder or tonumber(known[2]) ~= tonumber(step) then",
        "if false then",
        "operations",
    ),
    lua("operation: stop ignored", "advance", "and not known[3] then", "then", "operations"),
    lua(
        "operation: entry of the last step found again",
        "select",
        "rank(score, id, true)",
        "rank(score, id, false)",
        "operations",
    ),
    python(
        "operation: token of its own for each try",
        "queue/actions",
        'Guard(operation.id.replace("-", "")[:16], only,',
        "Guard(None, only,",
        "operations",
    ),
]

STATS = [
    lua(
        "stats: a repeated settle counted again",
        "lib/fence",
        "    verdict = 'repeat'",
        "    verdict = 'repeat'\n    tally_attempt(verb, held[6])",
        "stats",
    ),
    lua("stats: a wait counted from the beginning of time", "lib/attempts", "(tonumber(ready_at) or began)", "1", "stats"),
    lua("stats: accepted tasks that are alike not counted", "enqueue_alike", "type_, count)", "type_, 0)", "enqueue"),
    lua("stats: accepted tasks not counted", "enqueue", "tally_stored()\n", "", "stats"),
    lua(
        "stats: a cancelled attempt counted as a wait",
        "cancel",
        "  if record[1] == 'processing' then",
        "  if false then",
        "stats",
    ),
    lua("stats: durations not summed", "lib/attempts", "if ran > 0 then", "if false then", "stats"),
    lua(
        "lease: lost again at each look",
        "lib/lapse",
        "redis.call('HSETNX', stops, 'lost:' .. worker_id, 1) == 1",
        "true",
        "reap",
    ),
    lua("lease: lost by a worker that died", "lib/lapse", " and not died then", " then", "reap"),
    lua("count: a repeated call counted again", "count", ">= call then", ">= call + 1 then", "requests"),
    lua("fold: counters added and not taken", "fold", "moved + redis.call('HDEL', aside, found[2][i])", "moved + 1", "fold"),
    lua("fold: one under way overwritten", "fold", " and redis.call('EXISTS', aside) == 0 then", " then", "fold"),
    lua("fold: before the minute is over", "fold", "if known ~= minute and", "if", "fold"),
    lua("fold: minutes never expire", "lib/grow", "redis.call('EXPIRE', hash, unit[2])", "local _ = unit[2]", "fold"),
    lua("fold: names without end", "lib/grow", "> most then", "> 1000 * most then", "fold"),
    lua("fold: waits left out of the totals", "lib/grow", "  if waited then", "  if false then", "fold"),
    python(
        "history: what is not folded yet left out",
        "queue/history",
        "if fields and each.first",
        "if False and each.first",
        "fold",
    ),
    python("stats: what is being folded left out", "queue/stats", "[keys.stats, keys.stats_aside,", "[keys.stats,", "fold"),
    lua("stats: names without end", "lib/tally", "> MOST_FIELDS", "> 1000 * MOST_FIELDS", "stats"),
]

CONNECTION = [
    python(
        "connection: client retries behind our back",
        "queue/clients",
        "_Never(NoBackoff(), 0)",
        "_Never(NoBackoff(), 3)",
        "connection",
    ),
    python(
        "connection: wait cut off before its end",
        "queue/connection",
        "Lines(self.redis, block_s + COMMAND_TIMEOUT_S)",
        "Lines(self.redis, block_s / 2)",
        "mutant_gaps",
    ),
    python(
        "connection: forgotten script not loaded again",
        "queue/connection",
        "if classify(error) is not Trouble.RELOAD:",
        "if isinstance(error, ResponseError):",
        "enqueue",
    ),
    lua("complete: refused at maxmemory", "complete", "#!lua flags=allow-oom", "#!lua", "maxmemory"),
]
