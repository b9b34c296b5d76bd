"""The install command as a process: pip's end, pip's failure, and what a kill leaves behind."""

import ast
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.install import refusal
from tests.support.processes import Processes

pytestmark = pytest.mark.timeout(100)

ROOT = Path(__file__).resolve().parents[2]
Install = Callable[[], "subprocess.Popen[str]"]
BLOCKED_PIP = '#!/bin/sh\necho started > "{started}"\nread line < "{released}"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose only dependency is a package made here."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "ANSWER = 42\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "requirements.lock").write_text(f"{wheel}\n", encoding="utf-8")
    (folder / "ours.py").write_text("from tiny import ANSWER\n", encoding="utf-8")
    return folder


@pytest.fixture
def pip_script(root: Path) -> Callable[[str], None]:
    """Puts a shell script where the environment's Python, and so its pip, is looked for."""

    def put(script: str) -> None:
        python = root / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(script, encoding="utf-8")
        python.chmod(0o755)

    return put


@pytest.fixture
def install(root: Path, processes: Processes) -> Install:
    """Starts an installation into `root`."""
    command = [sys.executable, "-m", "launcher.install", "--root", str(root)]
    return lambda: processes.start(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_two_installations_at_once_leave_one_working_environment(install: Install, root: Path, tmp_path: Path) -> None:
    outputs = [(*run.communicate(), run.returncode) for run in [install(), install()]]
    assert [status for _, _, status in outputs] == [0, 0]
    assert sum(output.count("Installing the pinned") for output, _, _ in outputs) == 1
    imported = subprocess.run(
        [root / ".venv" / "bin" / "python", "-c", "import ours; print(ours.ANSWER)"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout == "42\n"


def test_a_failed_pip_shows_its_last_lines_and_one_sentence(
    install: Install, pip_script: Callable[[str], None]
) -> None:
    pip_script("#!/bin/sh\necho 'no matching distribution' >&2\nexit 1\n")
    run = install()
    output, _ = run.communicate()
    assert run.returncode == 1
    assert "no matching distribution\nThe packages of requirements.lock could not be installed" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_installation_ends_pip_and_says_what_comes_next(
    install: Install, root: Path, tmp_path: Path, pip_script: Callable[[str], None], number: signal.Signals
) -> None:
    started, released = _pipes(tmp_path)
    pip_script(BLOCKED_PIP.format(started=started, released=released))
    run = install()
    started.read_text(encoding="utf-8")
    run.send_signal(number)
    output, _ = run.communicate()
    assert run.returncode == 130
    assert output.endswith("The installation was interrupted; the next run starts it afresh.\n")
    with (root / ".venv.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_killed_installation_keeps_others_out_while_its_pip_still_writes(
    install: Install, root: Path, tmp_path: Path, pip_script: Callable[[str], None]
) -> None:
    started, released = _pipes(tmp_path)
    pip_script(BLOCKED_PIP.format(started=started, released=released))
    run = install()
    started.read_text(encoding="utf-8")
    run.kill()
    run.wait()
    with (root / ".venv.lock").open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        released.write_text("\n", encoding="utf-8")
        fcntl.flock(lock, fcntl.LOCK_EX)
    run.communicate()


def test_a_full_disk_is_one_sentence(root: Path) -> None:
    """The system's limit on the size of files is met in the same place."""
    command = shlex.join([sys.executable, "-m", "launcher.install", "--root", str(root)])
    run = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec {command}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr.startswith("The environment cannot be written: File too large: ")
    assert run.stderr.count("\n") == 1


def test_an_old_python_is_refused_with_a_sentence() -> None:
    assert "needs Python 3.11 or newer and this is 3.9" in (refusal((3, 9)) or "")
    assert refusal((3, 11)) is None


def test_an_old_python_can_read_as_far_as_the_refusal() -> None:
    for file in ("__init__.py", "install.py"):
        source = (ROOT / "launcher" / file).read_text(encoding="utf-8")
        assert ast.parse(source, feature_version=(3, 7)).body


def _pipes(folder: Path) -> tuple[Path, Path]:
    """Two named pipes; reading one waits for its writer."""
    started, released = folder / "started", folder / "released"
    os.mkfifo(started)
    os.mkfifo(released)
    return started, released


def test_an_interrupt_while_the_installer_is_still_imported_says_so_without_a_traceback(tmp_path: Path) -> None:
    """Python finds this module in place of its own, and it presses Ctrl-C."""
    (tmp_path / "fcntl.py").write_text("import signal; signal.raise_signal(signal.SIGINT)\n", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "launcher.install", "--root", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 130
    assert ended.stderr == "The installation was interrupted; the next run starts it afresh.\n"
