"""An environment of its own for each peer, made once and kept in a cache directory."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import msgspec

from tests.bench.peers import Peer

PROGRAMS = Path(__file__).parent / "programs"
DONE = "complete"


class Environment(msgspec.Struct, frozen=True):
    """Where the programs of a peer run: `python` starts its program, `bin` has its commands."""

    python: str
    bin: str
    program: str
    version: str


def environment(peer: Peer, cache: Path) -> Environment | None:
    """The environment of a peer, made now if it is not in the cache; None where it cannot run (no node)."""
    if not peer.requires:
        version = importlib.metadata.version(peer.version_of) if peer.version_of else ""
        return Environment(sys.executable, str(Path(sys.executable).parent), str(PROGRAMS / peer.program), version)
    if peer.node:
        return _node(peer, cache / peer.name)
    return _venv(peer, cache / peer.name)


def _venv(peer: Peer, directory: Path) -> Environment:
    python = directory / "bin" / "python"
    if not (directory / DONE).exists():
        shutil.rmtree(directory, ignore_errors=True)
        venv.create(directory, with_pip=True, symlinks=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *peer.requires], check=True)
        (directory / DONE).touch()
    found = [str(python), "-c", f"import importlib.metadata as m; print(m.version({peer.version_of!r}))"]
    version = subprocess.run(found, check=True, capture_output=True, text=True).stdout.strip()
    return Environment(str(python), str(python.parent), str(PROGRAMS / peer.program), version)


def _node(peer: Peer, directory: Path) -> Environment | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    if not (directory / DONE).exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
        subprocess.run([npm, "install", "--silent", "--no-fund", *peer.requires], check=True, cwd=directory)
        (directory / DONE).touch()
    # node looks for packages beside the program
    program = directory / peer.program
    shutil.copyfile(PROGRAMS / peer.program, program)
    package = json.loads((directory / "node_modules" / peer.version_of / "package.json").read_text())
    return Environment(node, str(Path(node).parent), str(program), str(package["version"]))
