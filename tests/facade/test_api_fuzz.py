"""What the OpenAPI document allows, or does not, gets a reply that the document has, and no server error."""

from collections.abc import Iterator

import pytest

from tests.facade.api_fuzz import MODES, OPERATIONS, can_be_wrong, fuzz, live

CASES = [
    (operation, mode) for mode in MODES for operation in OPERATIONS if mode == "positive" or can_be_wrong(operation)
]
# Requests of each mode: in a short run, and in a long one, 5,000 in all. The operations that are not named have little
# to get wrong.
EXAMPLES = {
    "createResponse": (25, 1200),
    "countInputTokens": (12, 400),
    "compactResponse": (12, 400),
    "getResponse": (12, 200),
    "listInputItems": (8, 100),
}
OTHERS = (5, 40)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_every_reply_is_one_of_the_document(operation: str, mode: str, address: str) -> None:
    fuzz(address, operation, mode, EXAMPLES.get(operation, OTHERS)[0])


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_every_reply_of_thousands_is_one_of_the_document(operation: str, mode: str, address: str) -> None:
    statuses = fuzz(address, operation, mode, EXAMPLES.get(operation, OTHERS)[1])
    if operation in EXAMPLES and mode == "positive":
        # Otherwise nothing was tried but refusals.
        assert statuses[200] >= EXAMPLES[operation][1] / 20, statuses


def test_long_runs_send_five_thousand_requests() -> None:
    bodyless = ("openapi", "docs", "health", "livez", "readyz")
    sent = [EXAMPLES.get(operation, OTHERS)[1] for operation, _ in CASES if operation not in bodyless]
    assert sum(sent) >= 5000
