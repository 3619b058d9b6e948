"""The file of tokens: what is taken from it, what is refused, and how it is written."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from taskq.cli.app import cli
from taskq.errors import ConfigError, ExitCode
from taskq.tokens import Role, Token, TokenError, Tokens, add_token, read_tokens, remove_token

DIGEST = "sha256:" + "0" * 64


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_new_token_is_found_again_and_its_file_does_not_have_it(tmp_path: Path) -> None:
    file = tmp_path / "tokens"

    token = add_token(file, "ci", Role.SUBMIT)

    found = read_tokens(file).find(token.encode())
    assert found is not None
    assert (found.name, found.role) == ("ci", Role.SUBMIT)
    assert token not in file.read_text()
    assert len(token) >= 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["tokens"]


@pytest.mark.parametrize("token", [b"", b"x", b"\xff\xfe", b"sha256:" + b"0" * 64, bytes(100_000)])
def test_no_other_token_is_found(tmp_path: Path, token: bytes) -> None:
    add_token(tmp_path / "tokens", "ci", Role.ADMIN)

    assert read_tokens(tmp_path / "tokens").find(token) is None
    assert Tokens().find(token) is None


def test_a_search_compares_bytes_with_every_token_wherever_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it takes tells neither how much of a digest is right nor where the token stands."""
    entries = tuple(Token(name, Role.READ, hashlib.sha256(name.encode()).digest()) for name in ("a", "b", "c"))
    compared: list[tuple[bytes, bytes]] = []
    in_constant_time = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return in_constant_time(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for name in (b"a", b"c", b"\xff none"):
        compared.clear()
        Tokens(entries).find(name)
        assert compared == [(entry.digest, hashlib.sha256(name).digest()) for entry in entries]


def test_comments_and_other_tokens_survive_an_added_and_a_removed_one(tmp_path: Path) -> None:
    file = written(tmp_path / "tokens", f"# of the team\nold read {DIGEST}", 0o640)

    add_token(file, "new", Role.READ)
    remove_token(file, "new")

    assert file.read_text() == f"# of the team\nold read {DIGEST}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "tokens")

    add_token(link, "ci", Role.READ)

    assert link.is_symlink()
    assert len(read_tokens(tmp_path / "tokens").entries) == 1


@pytest.mark.parametrize(
    "line",
    [
        "ci read",
        f"ci root {DIGEST}",
        f"a/b read {DIGEST}",
        "ci read sha256:xyz",
        f"ci read {DIGEST} more",
        "ci read tq_secret",
    ],
)
def test_a_bad_line_is_named_by_its_number_and_not_shown(tmp_path: Path, line: str) -> None:
    file = written(tmp_path / "tokens", f"# first\n{line}\n")

    with pytest.raises(ConfigError) as caught:
        read_tokens(file)

    assert f"{file}:2: token: expected NAME ROLE sha256:DIGEST" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_every_fault_of_a_file_is_told(tmp_path: Path) -> None:
    file = written(tmp_path / "tokens", f"a read {DIGEST}\na admin {DIGEST}\nbad\n", 0o662)

    with pytest.raises(ConfigError) as caught:
        read_tokens(file)

    mode, twice, bad = map(str, caught.value.faults)
    assert "mode 0662; chmod go-w" in mode
    assert ":2: token: expected each name once, got 'a' again" in twice
    assert ":3: token:" in bad


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a readable file of tokens .* got No such file or directory"):
        read_tokens(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="another line"):
        read_tokens(tmp_path / "bytes")


def test_a_name_is_taken_once_and_well_formed(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    add_token(file, "ci", Role.READ)

    with pytest.raises(TokenError, match="there is a token ci already"):
        add_token(file, "ci", Role.READ)
    with pytest.raises(TokenError, match="expected a name of 1 to 128"):
        add_token(file, "a b\nroot admin", Role.READ)
    with pytest.raises(TokenError, match="there is no token 'other'"):
        remove_token(file, "other")
    with pytest.raises(TokenError, match="cannot write"):
        add_token(tmp_path / "no" / "tokens", "ci", Role.READ)


def test_the_commands_make_list_and_remove_tokens(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens")
    run = CliRunner().invoke

    made = run(cli, ["token", "new", "ci", "--role", "submit", "--file", file])

    assert made.exit_code == 0
    assert read_tokens(Path(file)).find(made.stdout.strip().encode()) is not None
    assert run(cli, ["token", "list", "--file", file]).stdout == "ci\tsubmit\n"
    again = run(cli, ["token", "new", "ci", "--role", "read", "--file", file])
    assert (again.exit_code, "there is a token ci already" in again.stderr) == (ExitCode.ERROR, True)
    assert run(cli, ["token", "remove", "ci", "--file", file]).exit_code == 0
    assert run(cli, ["token", "list", "--file", file]).stdout == ""
