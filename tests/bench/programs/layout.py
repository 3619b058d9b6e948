"""The form of a record of one run of a task."""

from __future__ import annotations

import struct

RECORD = struct.Struct("<qqq")
"""The task's number with the worker's pid above it (`PID_SHIFT`), then its start and its end, both monotonic in ns."""

PID_SHIFT = 32
