"""Takes one rule at a time out of a copy of the source and requires the tests to notice.

    python -m tests.mutants [--update] [WORD ...]

With words only the mutations whose name contains one of them are tried. `--update` writes the table to mutants.md. The exit
code is 1 when a mutation survives, breaks the source instead of changing what it does, or no longer fits the source.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("mutants.md")
EVERYTHING = ("tests/unit", "tests/integration")
LEFT_OUT = (".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", "build", "dist", "node_modules")

TEST_LIMIT_S = 60
"""A mutation may make a test wait for what never comes."""
RUN_LIMIT_S = 1800

_FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)
_BROKEN = re.compile(r"Error compiling script|Script attempted to access nonexistent|SyntaxError|ImportError|NameError")


class Misfit(Exception):
    """A mutation cannot be applied, or the tests fail without one."""


class Mutation(NamedTuple):
    """One change to one file. `old` must occur in it exactly once; `tests` are tried before all others."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, source: str) -> str:
        """The mutated source. Raises Misfit when the mutation does not fit it."""
        if source.count(self.old) != 1:
            raise Misfit(
                f"{self.name}: expected the text once in {self.file}, found it {source.count(self.old)} times: {self.old!r}"
            )
        return source.replace(self.old, self.new)

    def check(self, tree: Path) -> None:
        """Raises Misfit when the mutation does not fit the source in `tree`, or when a test file is gone."""
        self.apply((tree / self.file).read_text(encoding="utf-8"))
        missing = [test for test in self.tests if not (tree / test).exists()]
        if missing:
            raise Misfit(f"{self.name}: no such test file: {', '.join(missing)}")


def lua(name: str, script: str, old: str, new: str, *tests: str) -> Mutation:
    """A mutation of a script."""
    return Mutation(name, f"taskq/queue/lua/{script}.lua", old, new, tuple(f"tests/integration/test_{t}.py" for t in tests))


def python(name: str, module: str, old: str, new: str, *tests: str) -> Mutation:
    """A mutation of a module."""
    return Mutation(name, f"taskq/{module}.py", old, new, tuple(f"tests/integration/test_{t}.py" for t in tests))


def gate(name: str, module: str, old: str, new: str, *tests: str) -> Mutation:
    """A mutation of what lets a request in; its tests are named with their folder."""
    return Mutation(name, f"taskq/{module}.py", old, new, tuple(f"tests/{t}.py" for t in tests))


class Run(NamedTuple):
    """One run of tests that stopped at the first failure."""

    output: str
    passed: bool

    @property
    def killer(self) -> str | None:
        """The test that failed; None when none did, or when the run could not test anything."""
        found = _FAILED.search(self.output)
        return found[1] if found and not self.passed and not _BROKEN.search(self.output) else None


class Trial(NamedTuple):
    """What became of one mutation."""

    mutation: Mutation
    killer: str | None
    seconds: float
    output: str


FENCE = [
    lua("fence: worker not compared", "lib/fence", "record[2] ~= worker_id or ", "", "fence"),
    lua("fence: attempt not compared", "lib/fence", " or record[3] ~= attempt then", " then", "fence"),
    lua("fence: worker's list not looked at", "lib/fence", "1, id) == 1 then", "1, id) >= 0 then", "mutant_gaps"),
    lua("settle: repeat refused", "lib/fence", "== verb and 'repeat' or 'stale'", "== verb and 'stale' or 'stale'", "fence"),
    lua("settle: repeat performed again", "lib/fence", "and 'repeat' or", "and 'ok' or", "fence"),
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
    lua("settle: another verb taken for a repeat", "lib/fence", "'settled') == verb and", "'settled') and", "fence"),
]

ATTEMPTS = [
    lua("attempt: the end of the one before left", "lib/start", "if record[13] then", "if false then", "claim"),
    lua("attempt: the error of one before left", "complete", "if erred then", "if false then", "complete"),
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
        "    push(record[1], id, true)",
        "    redis.call('HINCRBY', key, 'crashes', 1)\n    push(record[1], id, true)",
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
    python(
        "extend: worker that nobody vouches for",
        "maintenance/maintenance",
        " and self.seats.alive(born.seat)]",
        "]",
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
    lua("reap: task given back at the tail", "lib/back", "push(record[3], id, true)", "push(record[3], id, false)", "reap"),
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
        "      give_back(unpack(ran))",
        "      count_crash(unpack(ran))",
        "reap",
    ),
    lua("ahead: blamed though dealt with", "reap", "blame == '1' and count_crash", "true and count_crash", "reap"),
    lua("ahead: claimed where types have limits", "lib/claim", "if ahead and limited then", "if false then", "ahead"),
    lua(
        "ahead: put back after the task has ended",
        "put_back",
        "if not redis.call('LPOS', processing, running) or",
        "if",
        "ahead",
    ),
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
    python("ahead: worker that went on robbed", "maintenance/claims", "after.serial != busy.serial or ", "", "ahead"),
    python(
        "ahead: tickets of a stranger taken for ours",
        "maintenance/claims",
        "ticket.worker_id != worker_id",
        "False",
        "ahead",
    ),
    python(
        "ahead: completions forgotten with the connection",
        "queue/ahead",
        "        for done in left:\n",
        "        for done in left[:0]:\n",
        "ahead",
    ),
]

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
    lua("claim: bell not rung anew", "lib/claim", "if rung and (redis.call", "if false and (redis.call", "bell"),
    lua("claim: bell lost among dead entries", "lib/claim", "  if rung then\n    ring()\n  end\n", "", "bell"),
]

LISTS = [
    lua("claim: own list not looked at", "lib/claim", "redis.call('LINDEX', processing, -1) or take()", "take()", "claim"),
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
    lua("gone: noted for ever", "lib/start", "redis.call('SREM', KEYS[at] .. ':gone', id)", "", "gone"),
    lua("gone: noted for ever by reap and purge", "lib/gone", "redis.call('SREM', KEYS[at] .. ':gone', id)", "", "gone"),
    lua("gone: two entries after a requeue", "lib/put_back", "id) == 0 then", "id) >= 0 then", "gone"),
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
        "release: task given back at the tail",
        "release",
        "push(record[1], id, true)",
        "push(record[1], id, false)",
        "release",
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
    lua(
        "expire: started all the same", "lib/overdue", "if not expires_at or expires_at > now then", "if true then", "expire"
    ),
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
        "return redis.call('HGET', key, 'settled') == verb and",
        "tally_attempt(verb, record[6])\n  return redis.call('HGET', key, 'settled') == verb and",
        "stats",
    ),
    lua("stats: a wait counted from the beginning of time", "lib/tally", "(tonumber(ready_at) or began)", "1", "stats"),
    lua("stats: accepted tasks that are alike not counted", "enqueue_alike", "type_, count)", "type_, 0)", "enqueue"),
    lua("stats: accepted tasks not counted", "enqueue", "tally_stored()\n", "", "stats"),
    lua(
        "stats: a cancelled attempt counted as a wait",
        "cancel",
        "  if record[1] == 'processing' then",
        "  if false then",
        "stats",
    ),
    lua("stats: durations not summed", "lib/tally", "if ran > 0 then", "if false then", "stats"),
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
    python("stats: what is being folded left out", "queue/stats", '("", ":aside", ":total")', '("", ":total")', "fold"),
    lua("stats: names without end", "lib/tally", "> MOST_FIELDS", "> 1000 * MOST_FIELDS", "stats"),
]

CONNECTION = [
    python(
        "connection: client retries behind our back",
        "queue/clients",
        "Retry(NoBackoff(), 0)",
        "Retry(NoBackoff(), 3)",
        "connection",
    ),
    python(
        "connection: wait cut off before its end",
        "queue/connection",
        "block_s + COMMAND_TIMEOUT_S",
        "block_s / 2",
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

LIMITS = [
    lua("limit: places not counted", "lib/room", ">= tonumber(most)", "> tonumber(most)", "limit"),
    lua("limit: rate not looked at", "lib/room", "math.max(0, first + period + 1 - now)", "0", "limit"),
    lua("limit: starts not logged", "lib/admit", "    log_start(type_)\n", "", "limit"),
    lua("limit: parked tasks overtaken", "lib/admit", " and (not head[1] or score <= tonumber(head[2]))", "", "limit"),
    lua("limit: no bell for a freed place", "lib/room", "    ring()\n", "", "limit"),
    lua("limit: place kept after a settle", "lib/fence", "vacate(worker_id, id .. ' ' .. attempt)", "local _", "limit"),
    lua("limit: place kept by a reaped worker", "reap", "vacate(worker_id)\n", "", "limit"),
    lua("limit: place of another attempt freed", "lib/vacate", " or (claim and held ~= claim .. ' ' .. type_)", "", "limit"),
    lua("limit: place kept by a stopped attempt", "stopped", "vacate(worker_id, claim)\n", "", "limit"),
    lua("limit: turn lost by a release", "release", "if record[2] then", "if false then", "limit"),
    lua("limit: turn lost by a reap", "lib/back", "if record[8] then", "if false then", "limit"),
    lua("limit: started in a pause", "lib/parked", " or redis.call('EXISTS', paused) == 1", "", "limit"),
    lua(
        "limit: no bell after a pause",
        "resume",
        "if redis.call('EXISTS', limits .. ':ready') == 1 then",
        "if false then",
        "limit",
    ),
    lua(
        "limit: older configuration taken over again",
        "limit",
        "generation, now) == 0 then",
        "generation, now) < 0 then",
        "limit",
    ),
    lua("limit: what runs already not counted", "limit", "      occupy(worker_id, id, record[3], runs)\n", "", "limit"),
    lua("limit: parked tasks not purged", "lib/taken", "redis.call('SMEMBERS', limits .. ':parked')", "{}", "limit"),
    lua(
        "limit: parked for ever by a clock that was set back",
        "lib/room",
        "if first and first > now then",
        "if false then",
        "limit",
    ),
]

GATES = [
    gate(
        "token: any is known",
        "tokens",
        "if hmac.compare_digest(entry.digest, digest):",
        "if digest:",
        "unit/test_api_access",
    ),
    gate(
        "token: compared until the first difference",
        "tokens",
        "hmac.compare_digest(entry.digest, digest)",
        "entry.digest == digest",
        "unit/test_tokens",
    ),
    gate("token: not asked for", "api/access", "if found is None:", "if header and found is None:", "unit/test_api_access"),
    gate(
        "token: what begins like an open path is open",
        "api/access",
        "path == each or (each.endswith",
        "path.startswith(each) or (each.endswith",
        "unit/test_api_access",
    ),
    gate("role: not looked at", "api/access", "token.role < needed", "token.role < Role.READ", "unit/test_api_access"),
    gate(
        "role: submitters may change anything",
        "api/access",
        "if (method, route) in SUBMITTERS_MAY else",
        "if route else",
        "unit/test_api_access",
    ),
    gate("origin: not looked at", "api/middleware", "if not own:", "if False:", "unit/test_api_errors"),
    gate(
        "origin: other sites of a domain are the same",
        "api/middleware",
        '{"same-origin", "none"}',
        '{"same-origin", "same-site", "none"}',
        "unit/test_api_errors",
    ),
    gate(
        "origin: looked at where the browser has told the site",
        "api/middleware",
        "site in _OWN_SITES if site is not None else",
        "site in _OWN_SITES or",
        "unit/test_api_errors",
    ),
    gate("host: not looked at", "api/knownhosts", "self._knows(host):", "True:", "unit/test_api_knownhosts"),
    gate(
        "host: known by its end",
        "api/knownhosts",
        "name in names or",
        "name.endswith(hosts or ('localhost',)) or",
        "unit/test_api_knownhosts",
    ),
    gate(
        "host: every name known by default",
        "supervisor/child",
        "(() if service.tokens is None else (ANY,))",
        "(ANY,)",
        "system/test_tokens",
    ),
    gate("host: two of them", "api/framing", 'frozenset({b"host", ', "frozenset({", "integration/test_api_framing"),
    gate(
        "target: of another host",
        "api/framing",
        "absolute[1].lower() != host.lower()",
        "not absolute[1]",
        "integration/test_api_framing",
    ),
    gate(
        "length: beside a coding",
        "api/framing",
        "    if length is not None:\n",
        "    if False:\n",
        "integration/test_api_framing",
    ),
    gate(
        "length: of any form",
        "api/framing",
        "not _LENGTH.fullmatch(length)",
        "not length",
        "integration/test_api_framing",
    ),
    gate(
        "coding: chunked not the last",
        "api/framing",
        'last != b"chunked" or',
        "last == b'' or",
        "integration/test_api_framing",
    ),
    gate("coding: chunked twice", "api/framing", 'if b"chunked" in others:', "if not last:", "integration/test_api_framing"),
    gate(
        "header: folded", "api/framing", 'if line.startswith((b" ", b"\\t")):', "if False:", "integration/test_api_framing"
    ),
    gate(
        "header: ends with a line feed", "api/framing", 'header.count(b"\\n") != ends or', "", "integration/test_api_framing"
    ),
    gate(
        "chunk: longer than it says",
        "api/chunks",
        "if len(self._line) > self._longest:",
        "if False:",
        "integration/test_api_framing",
    ),
    gate(
        "chunk: ends with a line feed", "api/chunks", 'not line.endswith(b"\\r\\n") or', "", "integration/test_api_framing"
    ),
]

MUTATIONS = AHEAD + STATS + LIMITS + FENCE + ATTEMPTS + LEASES + REAP + BELLS + LISTS + OPERATIONS + CONNECTION + GATES


def main() -> int:
    options = _options()
    chosen = [mutation for mutation in MUTATIONS if not options.words or any(w in mutation.name for w in options.words)]
    if not chosen:
        raise Misfit(f"no mutation is called anything with {' or '.join(options.words)}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        tree = _copy(Path(directory) / "tree")
        for mutation in MUTATIONS:
            mutation.check(tree)
        _expect_green(tree, sorted({file for mutation in chosen for file in mutation.tests}))
        trials = []
        for mutation in chosen:
            trials.append(_try(tree, mutation))
            print(_row(trials[-1]), flush=True)
    survivors = [trial for trial in trials if trial.killer is None]
    for trial in survivors:
        print(f"\n== not killed: {trial.mutation.name}\n{trial.output[-4000:]}", file=sys.stderr)
    print(f"{len(trials) - len(survivors)} of {len(trials)} mutations killed")
    if options.update:
        TABLE.write_text(_table(trials), encoding="utf-8")
    return 1 if survivors else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="write the table to tests/mutants.md")
    parser.add_argument("words", nargs="*", metavar="WORD", help="try only mutations whose name contains it")
    options = parser.parse_args()
    if options.update and options.words:
        parser.error("--update needs every mutation")
    return options


def _copy(tree: Path) -> Path:
    """A copy of the checkout; makes sure that tests which run in it test it and not the checkout."""
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
    where = "import taskq; print(taskq.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tree, env=_env(tree), capture_output=True, text=True, check=True
    )
    if tree not in Path(found.stdout.strip()).parents:
        raise Misfit(f"tests in a copy would import {found.stdout.strip()}")
    return tree


def _expect_green(tree: Path, files: Sequence[str]) -> None:
    """A kill says nothing unless the same tests pass without the mutation."""
    run = _pytest(tree, files)
    if not run.passed:
        raise Misfit(f"the tests fail without any mutation\n{run.output}")


def _try(tree: Path, mutation: Mutation) -> Trial:
    """The tests that should notice, and only if they do not, all of them."""
    began = time.monotonic()
    with _applied(tree, mutation):
        run = _pytest(tree, mutation.tests)
        noticed = not run.passed
        if not noticed:
            run = _pytest(tree, EVERYTHING)
    if run.killer and not noticed:
        _expect_green(tree, [run.killer.partition("::")[0]])
    return Trial(mutation, run.killer, time.monotonic() - began, run.output)


@contextmanager
def _applied(tree: Path, mutation: Mutation) -> Iterator[None]:
    path = tree / mutation.file
    source = path.read_text(encoding="utf-8")
    path.write_text(mutation.apply(source), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(source, encoding="utf-8")


def _pytest(tree: Path, tests: Sequence[str]) -> Run:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "--tb=short", f"--timeout={TEST_LIMIT_S}"]
    # that file holds the list against the source, and so would notice every mutation
    command += ["-p", "no:cacheprovider", "--hypothesis-seed=0", "--ignore=tests/unit/test_mutants.py", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=_env(tree), capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise Misfit(f"the tests did not end within {RUN_LIMIT_S} s: {' '.join(tests)}") from late
    if done.returncode not in (0, 1):
        raise Misfit(f"pytest could not finish {' '.join(tests)}\n{done.stdout}{done.stderr}")
    return Run(done.stdout + done.stderr, done.returncode == 0)


def _env(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}


def _row(trial: Trial) -> str:
    killer = trial.killer.removeprefix("tests/") if trial.killer else "**nothing**"
    return f"| {trial.mutation.name} | {killer} | {trial.seconds:.0f} |"


def _table(trials: Sequence[Trial]) -> str:
    head = "# Mutations\n\nWritten by `python -m tests.mutants --update`: each line is one rule taken out of the source.\n\n"
    rows = "\n".join(_row(trial) for trial in trials)
    return f"{head}| mutation | killed by | seconds |\n|---|---|---|\n{rows}\n"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Misfit as misfit:
        sys.exit(f"mutants: {misfit}")
