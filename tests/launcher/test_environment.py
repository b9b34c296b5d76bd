"""The virtual environment, with stand-ins for what is slow: a venv module that makes three files, an empty pip."""

import shutil
import threading
from pathlib import Path

import pytest

from launcher.environment import Environment, Lock
from launcher.pip_install import InstallError

LOCKS = {"runtime": Lock("requirements.lock", 1), "dev": Lock("requirements-dev.lock", 1)}
VENV_MODULE = """#!/bin/sh
# called as: PYTHON -m venv FOLDER
mkdir -p "$3/bin" "$3/lib/python3.11/site-packages"
echo made >> "$3/../made"
touch "$3/bin/python"
"""


class Installs:
    """Takes the place of pip: notes what it was asked for, and fails or waits on demand."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.error: BaseException | None = None

    def __call__(self, python: Path, lock_file: Path, lock: int) -> None:
        assert python.exists()
        self.files.append(lock_file.name)
        if self.error:
            raise self.error


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for lock in LOCKS.values():
        (folder / lock.file).write_text("tiny==1.0\n", encoding="utf-8")
    script = folder / "python-with-venv"
    script.write_text(VENV_MODULE, encoding="utf-8")
    script.chmod(0o755)
    return folder


@pytest.fixture
def installs() -> Installs:
    return Installs()


def environment(root: Path, installs: Installs, said: list[str] | None = None) -> Environment:
    lines: list[str] = [] if said is None else said
    return Environment(
        root, locks=LOCKS, install=installs, say=lines.append, interpreter=str(root / "python-with-venv")
    )


def times_made(root: Path) -> int:
    return (root / "made").read_text(encoding="utf-8").count("made")


def test_the_first_run_makes_the_environment_and_announces_the_size(root: Path, installs: Installs) -> None:
    said: list[str] = []
    assert environment(root, installs, said).ensure(["runtime"])
    assert installs.files == ["requirements.lock"]
    assert said == ["Installing the pinned dependencies of requirements.lock (about 1 MB) ..."]


def test_the_packages_of_the_checkout_are_importable_from_the_environment(root: Path, installs: Installs) -> None:
    environment(root, installs).ensure(["runtime"])
    [paths] = root.glob(".venv/lib/python3*/site-packages/answerd.pth")
    assert paths.read_text(encoding="utf-8").splitlines() == [str(root), str(root / "proto")]


def test_a_second_run_does_and_says_nothing(root: Path, installs: Installs) -> None:
    environment(root, installs).ensure(["runtime", "dev"])
    said: list[str] = []
    for names in (["runtime"], ["runtime", "dev"]):
        assert not environment(root, installs, said).ensure(names)
    assert said == []
    assert len(installs.files) == 2


def test_only_the_lock_file_that_changed_is_installed_again(root: Path, installs: Installs) -> None:
    environment(root, installs).ensure(["runtime", "dev"])
    (root / "requirements-dev.lock").write_text("tiny==1.1\n", encoding="utf-8")
    environment(root, installs).ensure(["runtime", "dev"])
    assert installs.files == ["requirements.lock", "requirements-dev.lock", "requirements-dev.lock"]
    assert times_made(root) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InstallError("no network")])
def test_an_installation_that_did_not_end_is_started_afresh(
    root: Path, installs: Installs, error: BaseException
) -> None:
    installs.error = error
    with pytest.raises(type(error)):
        environment(root, installs).ensure(["runtime"])
    half_written = root / ".venv" / "half-written"
    half_written.touch()
    installs.error = None
    assert environment(root, installs).ensure(["runtime"])
    assert not half_written.exists()
    assert not environment(root, installs).ensure(["runtime"])


@pytest.mark.parametrize("damage", ["bin/python", "answerd.json"])
def test_a_damaged_environment_is_repaired(root: Path, installs: Installs, damage: str) -> None:
    environment(root, installs).ensure(["runtime"])
    (root / ".venv" / damage).write_text("{", encoding="utf-8") if damage.endswith("json") else (
        root / ".venv" / damage
    ).unlink()
    assert environment(root, installs).ensure(["runtime"])
    assert times_made(root) == 2


def test_an_environment_whose_removal_was_interrupted_is_not_taken_for_one_made_by_hand(
    root: Path, installs: Installs, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(root, installs).ensure(["runtime"])
    (root / ".venv" / "answerd.json").write_text("{", encoding="utf-8")

    def interrupted(folder: Path, **_: object) -> None:
        (folder / "answerd.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            environment(root, installs).ensure(["runtime"])
    assert environment(root, installs).ensure(["runtime"])
    assert times_made(root) == 2


def test_an_environment_that_belongs_to_another_checkout_is_left_alone(
    root: Path, installs: Installs, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(root, tmp_path / "other"))
    environment(other, installs).ensure(["runtime"])
    (root / ".venv").symlink_to(other / ".venv")
    assert environment(root, installs).ensure(["runtime"])
    assert not (root / ".venv").is_symlink()
    assert not environment(other, installs).ensure(["runtime"])


def test_a_checkout_that_moved_gets_a_new_environment(root: Path, installs: Installs, tmp_path: Path) -> None:
    environment(root, installs).ensure(["runtime"])
    moved = Path(shutil.move(root, tmp_path / "elsewhere"))
    assert environment(moved, installs).ensure(["runtime"])
    assert times_made(moved) == 2


def test_an_environment_made_by_hand_is_filled_and_kept(root: Path, installs: Installs) -> None:
    own = root / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert environment(root, installs).ensure(["runtime"])
    assert not (root / "made").exists()


def test_two_runs_at_once_install_once(root: Path, installs: Installs) -> None:
    """The first is held inside its installation until the second says that it waits."""
    inside, second_waits = threading.Event(), threading.Event()

    def hold(python: Path, lock_file: Path, lock: int) -> None:
        inside.set()
        assert second_waits.wait(30)
        installs(python, lock_file, lock)

    def say(line: str) -> None:
        if line.startswith("Another run is installing"):
            second_waits.set()

    interpreter = str(root / "python-with-venv")
    first = Environment(root, locks=LOCKS, install=hold, say=say, interpreter=interpreter)
    second = Environment(root, locks=LOCKS, install=installs, say=say, interpreter=interpreter)
    thread = threading.Thread(target=first.ensure, args=(["runtime"],))
    thread.start()
    assert inside.wait(30)
    assert not second.ensure(["runtime"])
    thread.join(30)
    assert installs.files == ["requirements.lock"]


def test_a_python_without_venv_is_told_what_to_install(root: Path, installs: Installs) -> None:
    (root / "python-with-venv").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    with pytest.raises(InstallError, match=r"apt install python3-venv"):
        environment(root, installs).ensure(["runtime"])


def test_a_missing_lock_file_is_named(root: Path, installs: Installs) -> None:
    (root / "requirements.lock").unlink()
    with pytest.raises(InstallError, match=r"requirements\.lock cannot be read"):
        environment(root, installs).ensure(["runtime"])
