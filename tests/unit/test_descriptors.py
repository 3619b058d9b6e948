"""A service with many workers starts although few files may be open at first."""

from __future__ import annotations

import subprocess
import sys

import pytest

BOARD = """
import resource
from taskq.cli.service import make_board
from taskq.config import Pool
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
board = make_board({"default": Pool(workers=50, prefetch=%d)})
print(board.slot(board.size - 1).shelf is not None, resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 5 * board.size)
"""


@pytest.mark.parametrize(("prefetch", "shelf"), [(1, False), (16, True)])
def test_every_seat_has_what_it_needs(prefetch: int, shelf: bool) -> None:
    done = subprocess.run([sys.executable, "-c", BOARD % prefetch], capture_output=True, text=True, check=False)

    assert (done.stdout.split(), done.stderr) == ([str(shelf), "True"], "")
