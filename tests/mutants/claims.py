"""Mutations of who may claim, start and settle what, and of what a death does."""

from __future__ import annotations

from tests.mutants.mutation import lua, python

FENCE = [
    lua("fence: worker not compared", "lib/fence", "held[2] == worker_id and ", "", "fence"),
    lua("fence: attempt not compared", "lib/fence", " and held[3] == attempt then", " then", "fence"),
    lua("fence: worker's list not looked at", "lib/fence", "'1', id) == 1 then", "'1', id) >= 0 then", "mutant_gaps"),
    lua("settle: repeat refused", "lib/fence", "verdict = 'repeat'", "verdict = 'stale'", "fence"),
    lua("settle: repeat performed again", "lib/fence", "verdict = 'repeat'", "verdict = 'ok'", "fence"),
    lua(
        "answer: forgotten when its reply was lost",
        "lib/told",
        "return told and cjson.decode(told)",
        "return nil",
        "lost_replies",
    ),
    lua("overlap: not looked for", "fire", "overlap == 'skip' and overlaps()", "false", "fire"),
    lua("overlap: only the newest task counts", "lib/recent", "ids[#ids + 1] = other", "ids[2] = nil", "fire"),
    lua("answer: of a tick forgotten", "fire", "note_asked(outcome)", "", "lost_replies"),
    lua("withdraw: claim left in its list", "lib/withdraw", "claimer, 1, id) == 1", "'', 1, id) == 1", "cancel"),
    lua("settle: another verb taken for a repeat", "lib/fence", "'settled') == verb then", "'settled') then", "fence"),
]

ATTEMPTS = [
    lua("attempt: the end of the one before left", "lib/start", "if record[13] then", "if false then", "claim"),
    lua("attempt: the error of one before left", "lib/finish", "if erred then", "if false then", "complete"),
    lua("attempt: not counted by start", "lib/start", "attempt = attempt + 1", "attempt = 1", "claim", "fence"),
    lua(
        "attempt: counted again by a repeated start",
        "lib/start",
        "if record[2] == 'pending' then",
        "if record[2] == 'pending' or record[3] == worker_id then",
        "claim",
    ),
    lua("attempt: without the trace of its task", "lib/start", "record[14] and (record[11] or '')", "false and ''", "trace"),
    lua("attempt: reset by requeue", "requeue", "'crashes', 0,", "'crashes', 0, 'attempt', 0,", "requeue"),
    lua(
        "attempt: reset by reap",
        "lib/back",
        "'settled', verb, 'ready_at'",
        "'attempt', 0, 'settled', verb, 'ready_at'",
        "reap",
    ),
    lua("retry: not counted", "retry", "redis.call('HINCRBY', key, 'retries', 1)", "", "retry"),
    lua(
        "release: counted as a crash",
        "release",
        "  give_back(",
        "  redis.call('HINCRBY', key, 'crashes', 1)\n  give_back(",
        "release",
    ),
    lua("crash: of an attempt that was overtaken", "crash", "if verdict == 'ok' then", "if true then", "crash"),
    lua("progress: of an attempt that was overtaken", "lib/holds", " or record[3] ~= attempt then", " then", "progress"),
]

LEASES = [
    lua("claim: lease not looked at", "lib/claim", "if not lease or tonumber(lease) <= now then", "if false then", "claim"),
    lua("join: lapsed lease revived", "join", "leases, 'NX', now", "leases, now", "join"),
    lua(
        "extend: lapsed lease revived", "extend", "if ends_at and tonumber(ends_at) > now then", "if ends_at then", "extend"
    ),
    lua("gap: held against leases", "lib/gap", "if gap > pause or", "if", "extend"),
    lua("gap: clock put back not noticed", "lib/gap", " or gap < 0 then", " then", "clock"),
    lua("gap: lapsed leases revived", "lib/gap", "gap < 0 and '-inf' or last", "'-inf'", "extend"),
    lua(
        "reap: lease not looked at",
        "lib/lapse",
        "elseif ends_at and tonumber(ends_at) > now then",
        "elseif false then",
        "reap",
    ),
    lua(
        "leave: worker forgotten with what it holds",
        "leave",
        "if redis.call('LLEN', processing) > 0 then",
        "if false then",
        "join",
    ),
    lua("leave: size of the worker kept", "leave", "redis.call('HDEL', residents, worker_id)", "", "join"),
    lua(
        "extend: size of a worker that is gone",
        "extend",
        "lapsed[#lapsed + 1] = ARGV[i]",
        "lapsed[#lapsed + 1] = ARGV[i]\n    sizes[ARGV[i]] = ARGV[i + 1]",
        "extend",
    ),
    python(
        "extend: worker that nobody vouches for",
        "maintenance/maintenance",
        " and self.seats.alive(born.seat)\n            }",
        "\n            }",
        "mutant_gaps",
    ),
]

REAP = [
    lua(
        "reap: claim that was not started counted as a crash",
        "reap",
        "elseif record[1] == 'pending' then\n    give_back(",
        "elseif record[1] == 'pending' then\n    count_crash(",
        "reap",
    ),
    lua("reap: crash limit ignored", "lib/crash", "if crashes < max_crashes then", "if true then", "reap"),
    lua(
        "release or reap: task given back at the tail",
        "lib/back",
        "push(record[3], id, true)",
        "push(record[3], id, false)",
        "release",
        "reap",
    ),
    lua("reap: task of another worker given back", "reap", " and record[2] == worker_id then", " then", "reap"),
    lua("reap: bell kept", "reap", "if id == BELL then\n    ring()", "if id == BELL then\n    -- dropped", "bell", "reap"),
    lua(
        "reap: lease kept by a worker that is known to be dead",
        "lib/lapse",
        "    redis.call('ZADD', leases, 'XX', 'LT', now, worker_id)\n",
        "",
        "mutant_gaps",
    ),
    python(
        "reap: silent worker forgotten at once",
        "maintenance/maintenance",
        "if ago_s > LINGER_S:",
        "if True:",
        "mutant_gaps",
    ),
    python(
        "bury: drain counted as a crash",
        "maintenance/burial",
        '("timeout", "memory", "drain")',
        '("timeout", "memory")',
        "mutant_gaps",
    ),
    python(
        "bury: time limit counted as a crash",
        "maintenance/burial",
        '("timeout", "memory", "drain")',
        '("memory", "drain")',
        "mutant_gaps",
    ),
    python(
        "bury: one of several blamed", "maintenance/burial", "died.task_id or NEXT", "died.task_id or OLDEST", "mutant_gaps"
    ),
    python(
        "bury: rest of the list left behind",
        "maintenance/burial",
        "        self.reap(queue, died.worker_id, dead=True, died=died, blame=blame)\n",
        "",
        "mutant_gaps",
    ),
]

AHEAD = [
    lua(
        "ahead: what waited blamed for a death",
        "reap",
        "      give_back(unpack(oldest))",
        "      count_crash(unpack(oldest))",
        "reap",
    ),
    lua("ahead: oldest blamed for what another ran", "reap", "id ~= blame and", "true and", "reap"),
    lua("ahead: blamed though dealt with", "reap", "blame ~= '' and started == 1", "true", "reap"),
    lua("ahead: one of several blamed", "reap", "and started == 1", "", "reap"),
    lua("reap: the only one not blamed", "reap", "blame ~= '' and started == 1", "false", "mutant_gaps"),
    lua(
        "ahead: claimed where types have limits",
        "lib/several",
        "state = 'again'",
        "state = 'idle'",
        "ahead",
    ),
    lua(
        "ahead: put back after the task has ended",
        "put_back",
        "before == 0 or ",
        "",
        "ahead",
    ),
    lua("ahead: what has run put back", "put_back", "0, before - 1)", "0, -1)", "ahead"),
    lua(
        "ahead: one stop request in place of another",
        "lib/withdraw",
        "asked and asked .. '\\n' .. line or line",
        "line",
        "ahead",
    ),
    lua("ahead: all stop requests forgotten at once", "stopped", "if left ~= '' then", "if false then", "ahead"),
    python(
        "ahead: claims begun without their ticket",
        "worker/ahead",
        "if ticket is None or ticket.number != number:",
        "if False:",
        "ahead",
    ),
    python(
        "ahead: begun however long ago claimed",
        "worker/ahead",
        " and time.monotonic_ns() - ticket.laid_ns <= FRESH_NS",
        "",
        "ahead",
    ),
    python(
        "ahead: next task put back with the others", "worker/ahead", "following.id, following.attempt)", "'', 0)", "ahead"
    ),
    python(
        "ahead: claims left behind by a connection",
        "worker/ahead",
        "            put_back(self.queue, self.worker_id)\n",
        "",
        "ahead",
    ),
    python("ahead: put back by tickets alone", "maintenance/claims", "if tickets or self", "if tickets and self", "ahead"),
    python("ahead: worker that went on robbed", "maintenance/claims", "after.serial != busy.serial or ", "", "ahead"),
    python(
        "ahead: tickets of a stranger taken for ours",
        "maintenance/claims",
        "ticket.worker_id != worker_id",
        "False",
        "ahead",
    ),
    lua("ahead: bell taken for a task", "lib/several", "if id == BELL then", "if false then", "complete_many"),
    lua("ahead: bell kept", "lib/several", "        redis.call('LREM', processing, '1', BELL)\n", "", "complete_many"),
    lua("ahead: bell not rung on", "lib/several", "  ring()\n", "", "complete_many"),
    lua(
        "ahead: bell rung for nothing",
        "lib/several",
        " and redis.call('LLEN', high) + redis.call('LLEN', low) > 0",
        "",
        "complete_many",
    ),
    lua("ahead: normal before high", "lib/several", "{high, pending, low}", "{pending, high, low}", "complete_many"),
    lua("ahead: claimed without a lease", "lib/several", "not lease or tonumber(lease) <= now", "false", "ahead"),
    lua("ahead: fewer claimed for what was passed over", "lib/several", "until #ids == 0", "until true", "complete_many"),
    lua(
        "ahead: order of claims turned",
        "lib/several",
        "'LPUSH', processing, unpack",
        "'RPUSH', processing, unpack",
        "complete_many",
    ),
    lua("ahead: completions counted as one", "lib/sums", "sum[4] = sum[4] + by", "sum[4] = by", "complete_many"),
    lua("ahead: completions not counted", "complete_many", "\ntally_sums()", "", "complete_many"),
    lua("ahead: another completion told stale", "complete_many", "at / 3", "1", "complete_many"),
    lua("ahead: completed task in no set", "complete_many", "if #scored > 0 then", "if false then", "complete_many"),
    python("ahead: results of tiny tasks sent one by one", "worker/ahead", "if kept and tiny", "if False and tiny", "ahead"),
    python("ahead: result of a long task kept", "worker/ahead", "kept and tiny and", "kept and", "ahead"),
    python("ahead: result kept that has no place", "worker/ahead", "if kept and tiny", "if tiny", "ahead"),
    python(
        "ahead: sent results left on the tray",
        "worker/ahead",
        "        self._stream.post(unsent, room)\n        self.tray.clear()\n",
        "        self._stream.post(unsent, room)\n",
        "ahead",
    ),
    python(
        "ahead: kept results forgotten at the end",
        "worker/ahead",
        "            if self._unsent:\n                self._send(more=False)\n",
        "",
        "ahead",
    ),
    python(
        "ahead: kept results forgotten with the connection", "worker/ahead", "recover(self._unsent)", "recover()", "ahead"
    ),
    python(
        "ahead: kept results not stored",
        "maintenance/claims",
        "                self._store(born, worker_id, busy)\n",
        "",
        "ahead",
    ),
    python(
        "ahead: kept results stored of a worker that goes on",
        "maintenance/claims",
        "if after is not None and after.serial == busy.serial:",
        "if True:",
        "ahead",
    ),
    python(
        "ahead: kept results of the dead not stored",
        "maintenance/burial",
        "        self._store_unsent(queue, died)\n",
        "",
        "ahead",
    ),
    python(
        "ahead: completions forgotten with the connection",
        "queue/ahead",
        "for done in (*left, *unsent):",
        "for done in unsent:",
        "ahead",
    ),
]
