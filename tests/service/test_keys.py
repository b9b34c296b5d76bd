"""API keys: whose a key is, what a broken file is told, and the command that makes one."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.keys import KeyRing, KeysFileError, append_line, main, make_key

ALICE = hashlib.sha256(b"alice's key").hexdigest()
BOB = hashlib.sha256(b"bob's key").hexdigest()


def written(folder: Path, text: str) -> Path:
    path = folder / "keys"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(KeysFileError) as caught:
        KeyRing.load(path)
    return str(caught.value)


@pytest.mark.parametrize("key", [None, "", "anything"])
def test_without_a_file_everybody_is_the_local_owner(key: str | None) -> None:
    ring = KeyRing.load(None)
    assert ring.owner_of(key) == "local"


def test_a_key_belongs_to_the_owner_of_its_line(tmp_path: Path) -> None:
    ring = KeyRing.load(written(tmp_path, f"# the team\n\nalice {ALICE}  # laptop\n  bob {BOB.upper()}\n"))
    assert [ring.owner_of(key) for key in ("alice's key", "bob's key")] == ["alice", "bob"]


def test_an_owner_may_have_several_keys(tmp_path: Path) -> None:
    ring = KeyRing.load(written(tmp_path, f"alice {ALICE}\nalice {BOB}"))
    assert [ring.owner_of(key) for key in ("alice's key", "bob's key")] == ["alice", "alice"]


@pytest.mark.parametrize("key", [None, "", "alice's ke", "alice's key ", "ALICE'S KEY", ALICE, "\udcff"])
def test_a_missing_or_wrong_key_has_no_owner(tmp_path: Path, key: str | None) -> None:
    assert KeyRing.load(written(tmp_path, f"alice {ALICE}\n")).owner_of(key) is None


@given(st.text(st.characters(exclude_categories=[])))
def test_no_text_at_all_raises(key: str) -> None:
    assert KeyRing([]).owner_of(key) is None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("alice", "has 1 words where `owner sha256-hex` is expected"),
        (f"alice {ALICE} laptop", "has 3 words where `owner sha256-hex` is expected"),
        (f"a/b {ALICE}", "names the owner 'a/b', but an owner has 1 to 64 letters"),
        ("alice secret", "does not end with a SHA-256 digest of 64 hexadecimal digits"),
        (f"bob {ALICE}", "repeats the key of an earlier line"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = written(tmp_path, f"alice {ALICE}\n{line}\n")
    assert refusal(path).startswith(f"Line 2 of the API keys file {path} {complaint}")


def test_a_digest_is_never_repeated_in_a_complaint(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(written(tmp_path, "alice hunter2"))


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    assert refusal(missing) == f"The API keys file {missing} cannot be read: No such file or directory."
    assert "cannot be read: Is a directory" in refusal(tmp_path)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    assert refusal(binary) == f"The API keys file {binary} is not a text file in UTF-8."


def test_a_file_without_keys_is_refused_since_nobody_could_connect(tmp_path: Path) -> None:
    assert "holds no key" in refusal(written(tmp_path, "# nobody yet\n"))


def test_a_made_key_opens_the_service(tmp_path: Path) -> None:
    key, line = make_key("alice")
    assert key.startswith("sk-answerd-")
    assert len(key) >= 54
    assert key not in line
    assert KeyRing.load(written(tmp_path, line)).owner_of(key) == "alice"


def test_the_command_makes_a_private_file_and_adds_to_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys = []
    for owner in ("alice", "bob"):
        command = [sys.executable, "-m", "service.keys", owner, "--file", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        keys.append(done.stdout.strip())
        assert done.stdout.strip() not in done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ring = KeyRing.load(path)
    assert [ring.owner_of(key) for key in keys] == ["alice", "bob"]


def test_the_command_prints_the_line_when_there_is_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["alice"]) == 0
    printed = capsys.readouterr()
    line = printed.err.partition("file: ")[2]
    assert KeyRing.load(written(tmp_path, line)).owner_of(printed.out.strip()) == "alice"


def test_a_line_is_not_glued_to_an_unfinished_one(tmp_path: Path) -> None:
    path = written(tmp_path, f"alice {ALICE}")
    append_line(path, f"bob {BOB}")
    assert path.read_text(encoding="utf-8") == f"alice {ALICE}\nbob {BOB}\n"


def test_the_command_refuses_a_name_that_could_not_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["two words"]) == 2
    assert capsys.readouterr().err.startswith("'two words' cannot be an owner")


def test_the_command_says_why_a_file_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["alice", "--file", os.fspath(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"The API keys file {tmp_path} cannot be written: Is a directory.\n"
