"""What verifying costs is learned from times."""

import pytest

from inference.speculation.prices import ASSUMED, HIGHEST, LOWEST, Prices


def test_before_anything_was_measured_a_price_is_assumed() -> None:
    prices = Prices()
    assert prices.token == ASSUMED
    assert prices.verify_took(4, 1.0) == pytest.approx(4 * ASSUMED)


def test_the_price_is_what_a_token_adds_to_a_decode_call() -> None:
    prices = Prices()
    prices.decode_took(0.010)
    assert prices.verify_took(5, 0.020) == pytest.approx(1.0)
    assert prices.token == pytest.approx(0.2)


@pytest.mark.parametrize(("seconds", "price"), [(0.010, LOWEST), (5.0, HIGHEST)])
def test_a_disturbed_call_leaves_a_price_within_bounds(seconds: float, price: float) -> None:
    prices = Prices()
    prices.decode_took(0.010)
    prices.verify_took(5, 0.020)
    for _ in range(50):
        prices.verify_took(5, seconds)
    assert prices.token == pytest.approx(price, abs=0.01)


def test_one_disturbed_call_changes_the_price_little() -> None:
    prices = Prices()
    prices.decode_took(0.010)
    for _ in range(30):
        prices.verify_took(5, 0.020)
    prices.verify_took(5, 0.040)
    assert prices.token < 0.25
