"""What a machine without Node.js, or without a way to npm's registry, makes of the tests that need them."""

from pathlib import Path

import pytest

from tests.support.npm import installed, why_not

PROJECT = Path(__file__).parents[1] / "e2e" / "node"


def test_without_node_the_tests_are_skipped_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"Node\.js and npm are not installed"):
        installed(PROJECT, tmp_path)


@pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
def test_without_a_registry_the_tests_are_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    with pytest.raises(pytest.skip.Exception, match="does not reach its registry"):
        installed(PROJECT, tmp_path / "packages")
    assert not any((tmp_path / "packages").iterdir())
