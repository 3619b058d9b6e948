"""Who may use the API: the file of tokens, its reading and its writing.

A line is `NAME ROLE sha256:DIGEST`; blank lines and lines that begin with # are left alone. The token itself is printed
once, when it is made, and kept nowhere. One round of SHA-256 is right for it: it has 256 random bits, so nobody finds it
by trying, which is all that a slow or salted hash is good for.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from taskq.errors import ConfigError, Fault, TaskqError
from taskq.task import NAME

NEW_MODE = 0o600
PREFIX = "tq_"
"""What every token begins with, so that scanners for leaked secrets can tell one."""

_RANDOM_BYTES = 32
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LINE = "NAME ROLE sha256:DIGEST, as `taskq token new` writes it"


class Role(enum.IntEnum):
    """What a token allows; each role may do what the ones before it may."""

    READ = 1
    SUBMIT = 2
    ADMIN = 3

    def __str__(self) -> str:
        return self.name.lower()


ROLES = tuple(str(role) for role in Role)


class Token(msgspec.Struct, frozen=True):
    """One token, without the token: `digest` is the SHA-256 of it."""

    name: str
    role: Role
    digest: bytes


class Tokens(msgspec.Struct, frozen=True):
    """All tokens of a file. Without any nobody gets in."""

    entries: tuple[Token, ...] = ()

    def find(self, token: bytes) -> Token | None:
        """The entry of this token, if there is one. Takes equally long whichever it is."""
        digest = hashlib.sha256(token).digest()
        found = None
        for entry in self.entries:
            if hmac.compare_digest(entry.digest, digest):
                found = entry
        return found


class TokenError(TaskqError):
    """A token that cannot be made or removed."""


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file. Raises ConfigError with every fault of it: not readable, writable by others, a bad line."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        expected = "a readable file of tokens (`taskq token new` makes one)"
        raise ConfigError([Fault(str(path), "api.tokens_file", expected, error.strerror or type(error).__name__)]) from error
    faults: list[Fault] = []
    if mode & _WRITABLE_BY_OTHERS:
        expected = "a file that only its owner can write, since whoever writes it has every right"
        faults.append(Fault(str(path), "api.tokens_file", expected, f"mode {stat.S_IMODE(mode):04o}", f"chmod go-w {path}"))
    entries: dict[str, Token] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if _is_blank(line):
            continue
        entry = _parse(line)
        if entry is None:
            # Not what stands there: someone may have put the token itself into the file.
            faults.append(Fault(f"{path}:{number}", "token", _LINE, "another line"))
        elif entry.name in entries:
            faults.append(Fault(f"{path}:{number}", "token", "each name once", f"{entry.name!r} again"))
        else:
            entries[entry.name] = entry
    if faults:
        raise ConfigError(faults)
    return Tokens(tuple(entries.values()))


def add_token(path: Path, name: str, role: Role) -> str:
    """Make a token, store its digest in the file, which is created where there is none, and return the token. Raises
    TokenError, ConfigError for a file with faults."""
    if not NAME.match(name):
        raise TokenError(f"expected a name of 1 to 128 letters, digits, _ . or -, got {name[:200]!r}")
    with _locked(path) as file:
        if file.exists() and any(entry.name == name for entry in read_tokens(file).entries):
            raise TokenError(f"there is a token {name} already; remove it first (taskq token remove {name})")
        token = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
        text = file.read_text() if file.exists() else ""
        gap = "" if not text or text.endswith("\n") else "\n"
        _replace(file, f"{text}{gap}{name} {role} sha256:{hashlib.sha256(token.encode()).hexdigest()}\n")
    return token


def remove_token(path: Path, name: str) -> None:
    """Take a token out of the file; its other lines stay as they are. Raises TokenError, ConfigError."""
    with _locked(path) as file:
        if all(entry.name != name for entry in read_tokens(file).entries):
            raise TokenError(f"there is no token {name[:200]!r} in {path}")
        lines = file.read_text().splitlines(keepends=True)
        _replace(file, "".join(line for line in lines if _is_blank(line) or line.split()[0] != name))


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _parse(line: str) -> Token | None:
    words = line.split()
    if len(words) != 3 or not NAME.match(words[0]) or words[1] not in ROLES or not _DIGEST.match(words[2]):
        return None
    return Token(words[0], Role[words[1].upper()], bytes.fromhex(words[2].removeprefix("sha256:")))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """The file that `path` leads to, which nobody else changes meanwhile. The lock is on its directory: the file itself is
    replaced."""
    file = Path(os.path.realpath(path))
    try:
        directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise TokenError(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield file
    except OSError as error:
        raise TokenError(f"cannot write {path}: {error.strerror}") from error
    finally:
        os.close(directory)


def _replace(file: Path, text: str) -> None:
    """Write the whole file at once or not at all. An old file's owner and mode stay, so that who could read it still can."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, NEW_MODE)
    try:
        with os.fdopen(fd, "w") as out:
            out.write(text)
            out.flush()
            if file.exists():
                old = file.stat()
                if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(fd, old.st_uid, old.st_gid)
                os.fchmod(fd, stat.S_IMODE(old.st_mode) & ~_WRITABLE_BY_OTHERS)
            os.fsync(fd)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
