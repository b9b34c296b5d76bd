"""Generates the Python beside the contract: messages, stubs and their types.

`python proto/generate.py` rewrites what differs; with `--check` it only says what differs, and fails if anything does.
Knows the compiler and the folder, nothing of what the contract says.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
PACKAGE = Path("answerd/v1")
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(source: Path) -> dict[Path, bytes]:
    """The generated files of a source root, by path relative to it. Raises RuntimeError if the compiler fails."""
    protos = sorted((source / PACKAGE).glob("*.proto"))
    services = [proto for proto in protos if proto.stem.endswith("_service")]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        _compile(source, protos, [f"--python_out={target}", f"--mypy_out=quiet:{target}"])
        _compile(source, services, [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"])
        return {path.relative_to(target): path.read_bytes() for path in target.rglob("*.py*")}


def _compile(source: Path, protos: Sequence[Path], outputs: Sequence[str]) -> None:
    # The plugins are the ones installed beside this interpreter, whatever PATH says.
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin={name}={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    compiler = [sys.executable, "-m", "grpc_tools.protoc"]
    command = [*compiler, *plugins, f"--proto_path={source}", *outputs, *map(str, protos)]
    if subprocess.run(command, check=False).returncode != 0:
        raise RuntimeError("protoc failed; its message is above")


def differences(source: Path) -> dict[Path, bytes | None]:
    """What the source root lacks or has differently, with the content it should have; None is a file too many."""
    wanted = generate(source)
    present = {path.relative_to(source) for pattern in GENERATED for path in (source / PACKAGE).glob(pattern)}
    different: dict[Path, bytes | None] = dict.fromkeys(present - wanted.keys())
    for path, content in wanted.items():
        if path not in present or (source / path).read_bytes() != content:
            different[path] = content
    return different


def rewrite(source: Path) -> list[Path]:
    """Brings the generated files up to date and says which ones changed."""
    different = differences(source)
    for path, content in different.items():
        if content is None:
            (source / path).unlink()
        else:
            (source / path).write_bytes(content)
    return sorted(different)


def main(arguments: Sequence[str], source: Path = SOURCE) -> int:
    parser = argparse.ArgumentParser(description="Generate the Python beside the contract.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if anything would change")
    checking: bool = parser.parse_args(arguments).check
    changed = sorted(differences(source)) if checking else rewrite(source)
    for path in changed:
        print(f"{path} {'is out of date' if checking else 'written'}")
    return 1 if checking and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
