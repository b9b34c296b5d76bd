"""The library is compiled once, or there is a clause that says why not."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inference.kernels.library import KernelsUnavailable, find_library, kernel_library
from tests.inference.kernels.products import INSTRUCTIONS

NO_VECTORS = ("-mno-avx2", "-mno-avx512f")


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that does what the test writes into it."""
    script = tmp_path / "compiler"
    monkeypatch.setenv("CC", str(script))
    return script


def program(path: Path, text: str) -> None:
    path.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
    path.chmod(0o755)


def test_it_is_compiled_once(own_kernels: Path, model_cache: Path, compiler: Path) -> None:
    """A second time it is only looked up: with this compiler it could not be made."""
    program(compiler, "sys.exit(1)")
    assert kernel_library(model_cache) == own_kernels


def test_another_target_gets_another_library(own_kernels: Path, model_cache: Path) -> None:
    assert kernel_library(model_cache, INSTRUCTIONS["AVX2"]) != own_kernels


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_the_sources_compile_without_a_warning(own_kernels: Path, tmp_path: Path, instructions: str) -> None:
    kernel_library(tmp_path, (*INSTRUCTIONS[instructions], "-Wall", "-Wextra", "-Werror"))


def test_two_that_compile_at_once_get_one_library(own_kernels: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(kernel_library, [tmp_path, tmp_path])
    assert first == second
    assert list((tmp_path / "kernels").iterdir()) == [first]


def test_without_a_compiler_the_reason_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelsUnavailable, match=r"^there is no C compiler \(install gcc or clang\)$"):
        kernel_library(tmp_path)


def test_a_processor_without_the_instructions_is_named(own_kernels: Path, tmp_path: Path) -> None:
    with pytest.raises(KernelsUnavailable, match=r"^this processor has neither AVX-512 with VNNI nor AVX2"):
        kernel_library(tmp_path, NO_VECTORS)


def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path, compiler: Path) -> None:
    program(compiler, "print('x.c:1:1: error: no such instruction', file=sys.stderr); sys.exit(1)")
    with pytest.raises(KernelsUnavailable, match=r"^no such instruction$"):
        kernel_library(tmp_path)
    assert list((tmp_path / "kernels").iterdir()) == []


def test_a_compiler_that_fails_without_a_word_is_said(tmp_path: Path, compiler: Path) -> None:
    program(compiler, "sys.exit(1)")
    with pytest.raises(KernelsUnavailable, match=r"^the C compiler failed$"):
        kernel_library(tmp_path)


def test_a_damaged_library_is_named(tmp_path: Path, compiler: Path) -> None:
    program(compiler, "open(sys.argv[sys.argv.index('-o') + 1], 'w').write('no library')")
    with pytest.raises(
        KernelsUnavailable, match=r"answerd-[0-9a-f]+\.so cannot be loaded .* if it is damaged, delete it"
    ):
        kernel_library(tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KernelsUnavailable, match="file"):
        kernel_library(tmp_path / "file")


def test_a_compiler_may_bring_options(tmp_path: Path, compiler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(compiler, "print('error: ' + sys.argv[1], file=sys.stderr); sys.exit(1)")
    monkeypatch.setenv("CC", f"{compiler} -m64")
    with pytest.raises(KernelsUnavailable, match=r"^-m64$"):
        kernel_library(tmp_path)


@pytest.mark.parametrize("given", [" ", "'", "/no/such/compiler"])
def test_a_compiler_that_is_none_is_passed_over(
    own_kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("CC", given)
    assert kernel_library(tmp_path).name == own_kernels.name


def test_where_there_is_none_nothing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_library(tmp_path) is None
