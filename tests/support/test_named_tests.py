"""Names of tests that are there, and of tests that are not."""

import pytest

from tests.support.named_tests import is_there

HERE = "tests/support/test_named_tests.py"


@pytest.mark.parametrize(
    ("name", "there"),
    [
        (f"{HERE}::test_a_name_is_found_if_its_test_is_there", True),
        (HERE, True),
        (f"{HERE}::test_something_else", False),
        (f"{HERE}::pytest", False),
        ("tests/support/named_tests.py", False),
        ("tests/support/test_nothing.py::test_a_name", False),
        ("", False),
    ],
)
def test_a_name_is_found_if_its_test_is_there(name: str, there: bool) -> None:
    assert is_there(name) is there
