"""Mutations of the limits of types."""

from __future__ import annotations

from tests.mutants.mutation import lua

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
    lua("limit: turn lost by a release or a reap", "lib/back", "if record[8] then", "if false then", "limit"),
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
