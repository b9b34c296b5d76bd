"""What the engine relies on, held against every runner.

A runner joins by a factory in RUNNERS. Chunks of two tokens or more agree to the bit, and so do decode calls of two
rows or more; where other calls round differently, `tolerance` says by how much their logits may differ. Where a row's
sums run over its padding, `padding` says by how much the company of other rows may change its logits.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.gguf.convert import ensure_converted
from inference.model import ModelDirectory
from inference.runner import Logits, Runner
from inference.scheduler import chunk_length
from tests.inference.runner_kinds import LENGTH, RUNNERS, SLOTS, Converted, Kind, Models


@pytest.fixture(scope="module", params=RUNNERS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    assert isinstance(request.param, Kind)
    return request.param


@pytest.fixture(scope="module")
def runner(
    kind: Kind,
    converted: Converted,
    model_file: Path,
    model_cache: Path,
    operators: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runner]:
    def portable() -> ModelDirectory:
        return ModelDirectory.open(ensure_converted(model_file, model_cache, "int4", lambda done: None))

    runner = kind.make(Models(converted, portable, operators, tmp_path_factory.mktemp("model")))
    yield runner
    runner.close()


def tokens(start: int, count: int) -> list[int]:
    return [(7 * index + start) % 40 + 3 for index in range(count)]


def prefill(runner: Runner, slot: int, prompt: list[int], *, start: int = 0) -> Logits:
    logits: Logits = runner.prefill(slot, prompt, start, 1).copy()[0]
    return logits


def read(runner: Runner, slot: int, length: int) -> Logits:
    """A fingerprint of the slot's first `length` positions, which writes two positions after them."""
    return prefill(runner, slot, [5, 6], start=length)


def test_logits_have_the_promised_form(runner: Runner) -> None:
    for rows in (0, 1, 5):
        logits = runner.prefill(0, tokens(0, 5), 0, rows)
        assert logits.shape == (rows, runner.vocab_size)
        assert logits.dtype == np.float32
    decoded = runner.decode(0, [4], [5])
    assert decoded.shape == (1, runner.vocab_size)
    assert decoded.dtype == np.float32
    assert runner.slots >= SLOTS
    assert runner.max_length >= LENGTH


@pytest.mark.parametrize("sizes", [(2, 18), (7, 7, 6), (18, 2), (3, 4, 5, 8)])
def test_a_prompt_in_chunks_equals_the_prompt_at_once(runner: Runner, sizes: tuple[int, ...]) -> None:
    prompt = tokens(1, 20)
    whole = prefill(runner, 0, prompt)
    start = 0
    for size in sizes:
        chunked = prefill(runner, 1, prompt[start : start + size], start=start)
        start += size
    np.testing.assert_array_equal(chunked, whole)


def test_each_row_has_the_logits_of_the_prompt_that_ends_there(runner: Runner, kind: Kind) -> None:
    """More rows than slots, too; two rows or more agree to the bit with each other."""
    prompt = tokens(4, 20)
    rows = runner.prefill(0, prompt, 0, 12).copy()
    for row in range(12):
        ends_there = prefill(runner, 1, prompt[: 9 + row])
        np.testing.assert_allclose(rows[row], ends_there, rtol=0, atol=kind.tolerance)
    for start in (0, 5, 18):
        prefill(runner, 2, prompt[: max(start, 2)])
        np.testing.assert_array_equal(runner.prefill(2, prompt[start:], start, 2), rows[-2:])


def test_reading_many_rows_does_not_disturb_decoding(runner: Runner) -> None:
    prefill(runner, 0, tokens(0, 10))
    expected = runner.decode(0, [8], [10]).copy()
    runner.prefill(1, tokens(2, 30), 0, 30)
    np.testing.assert_array_equal(runner.decode(0, [8], [10]), expected)


def test_a_prompt_may_have_one_token(runner: Runner) -> None:
    one, other = prefill(runner, 0, [9]), prefill(runner, 1, [10])
    np.testing.assert_array_equal(prefill(runner, 2, [9]), one)
    assert not np.array_equal(one, other)


def test_rows_decoded_together_equal_rows_decoded_in_pairs(runner: Runner, kind: Kind) -> None:
    lengths = [5, 9, 3, 12]
    for slot, length in enumerate(lengths):
        prefill(runner, slot, tokens(slot, length))
    together = runner.decode(0, [10, 11, 12, 13], lengths).copy()
    for slot, length in enumerate(lengths):
        prefill(runner, slot, tokens(slot, length))
    pairs = [runner.decode(0, [10, 11], lengths[:2]).copy(), runner.decode(2, [12, 13], lengths[2:]).copy()]
    np.testing.assert_allclose(np.concatenate(pairs), together, rtol=0, atol=kind.padding)


def test_a_row_decoded_alone_equals_its_row_in_company(runner: Runner, kind: Kind) -> None:
    lengths = [5, 9, 3, 12]
    for slot, length in enumerate(lengths):
        prefill(runner, slot, tokens(slot, length))
    together = runner.decode(0, [10, 11, 12, 13], lengths).copy()
    for slot, length in enumerate(lengths):
        prefill(runner, slot, tokens(slot, length))
        alone = runner.decode(slot, [10 + slot], [length])
        np.testing.assert_allclose(alone[0], together[slot], rtol=0, atol=kind.tolerance)


@pytest.mark.parametrize("best", [1, 3, 8, 9])
def test_the_best_logits_are_those_of_all(runner: Runner, best: int) -> None:
    """Others may be -inf; nothing of an earlier call is left."""
    lengths = [5, 9, 3, 12]
    for slot, length in enumerate(lengths):
        prefill(runner, slot, tokens(slot, length))
    for following in ([20, 21, 22, 23], [10, 11, 12, 13]):
        some = runner.decode(0, following, lengths, best).copy()
    whole = runner.decode(0, [10, 11, 12, 13], lengths)
    order = np.argsort(-whole, axis=1, kind="stable")[:, :best]
    np.testing.assert_array_equal(np.argsort(-some, axis=1, kind="stable")[:, :best], order)
    np.testing.assert_array_equal(np.take_along_axis(some, order, 1), np.take_along_axis(whole, order, 1))
    assert ((some == whole) | (some == -np.inf)).all()


def test_decoding_goes_on_as_reading_would_but_for_rounding(runner: Runner, kind: Kind) -> None:
    prompts = [tokens(0, 6), tokens(3, 8)]
    for slot, prompt in enumerate(prompts):
        prefill(runner, slot, prompt)
    for step in range(4):
        rows = runner.decode(0, [20 + step, 30 + step], [6 + step, 8 + step]).copy()
    whole = [prefill(runner, 2, [*prompts[0], 20, 21, 22, 23]), prefill(runner, 3, [*prompts[1], 30, 31, 32, 33])]
    np.testing.assert_allclose(rows, np.stack(whole), rtol=0, atol=kind.tolerance)


def test_a_decode_call_leaves_the_slots_around_it_alone(runner: Runner) -> None:
    prompts = [tokens(slot, 10) for slot in range(4)]
    for slot, prompt in enumerate(prompts):
        prefill(runner, slot, prompt)
    expected = [read(runner, slot, 10) for slot in (0, 3)]
    for step in range(12):
        runner.decode(1, [7, 8], [10 + step, 10 + step])
    np.testing.assert_array_equal([read(runner, slot, 10) for slot in (0, 3)], expected)


def test_a_chunk_leaves_the_other_slots_alone(runner: Runner) -> None:
    prefill(runner, 0, tokens(0, 10))
    prefill(runner, 2, tokens(2, 10))
    expected = [read(runner, slot, 10) for slot in (0, 2)]
    prefill(runner, 1, tokens(5, 40))
    np.testing.assert_array_equal([read(runner, slot, 10) for slot in (0, 2)], expected)


def test_positions_before_the_start_are_kept(runner: Runner) -> None:
    """Going on after a kept prefix equals reading the whole prompt."""
    shared, first, second = tokens(0, 12), tokens(5, 9), tokens(9, 4)
    prefill(runner, 0, shared + first)
    continued = prefill(runner, 0, second, start=12)
    np.testing.assert_array_equal(continued, prefill(runner, 1, shared + second))


@pytest.mark.parametrize(("a", "b"), [(0, 3), (3, 0), (1, 2)])
@pytest.mark.parametrize(("length_a", "length_b"), [(20, 6), (6, 20), (11, 11), (9, 0), (0, 9)])
def test_a_swap_exchanges_the_leading_positions(runner: Runner, a: int, b: int, length_a: int, length_b: int) -> None:
    expected = {}
    for slot, length in ((a, length_a), (b, length_b)):
        if length:
            prefill(runner, slot, tokens(slot, length))
            expected[slot] = read(runner, slot, length)
    runner.swap(a, length_a, b, length_b)
    if length_a:
        np.testing.assert_array_equal(read(runner, b, length_a), expected[a])
    if length_b:
        np.testing.assert_array_equal(read(runner, a, length_b), expected[b])


def test_a_swap_leaves_other_slots_alone(runner: Runner) -> None:
    for slot in range(4):
        prefill(runner, slot, tokens(slot, 10))
    expected = [read(runner, slot, 10) for slot in (1, 3)]
    runner.swap(0, 12, 2, 8)
    np.testing.assert_array_equal([read(runner, slot, 10) for slot in (1, 3)], expected)


@pytest.mark.parametrize(("source", "target", "other"), [(0, 3, 1), (3, 0, 2), (2, 1, 0)])
def test_a_copy_changes_its_target_alone(runner: Runner, source: int, target: int, other: int) -> None:
    """The target has the source's beginning; the source and the others have what they had."""
    for slot in (source, target, other):
        prefill(runner, slot, tokens(slot, 15))
    whole = [read(runner, slot, 15) for slot in (source, other)]
    runner.copy(source, target, 10)
    np.testing.assert_array_equal([read(runner, slot, 15) for slot in (source, other)], whole)
    np.testing.assert_array_equal(read(runner, target, 10), read(runner, source, 10))


def test_a_copied_row_decodes_like_its_source(runner: Runner) -> None:
    prefill(runner, 0, tokens(0, 10))
    runner.copy(0, 1, 10)
    rows = runner.decode(0, [8, 8], [10, 10])
    np.testing.assert_array_equal(rows[0], rows[1])


def test_the_last_position_can_be_used(runner: Runner) -> None:
    last = runner.max_length - 1
    for slot in (1, 2):
        start = 0
        while start < last:
            size = chunk_length(last - start, 256)
            runner.prefill(slot, tokens(start, size), start, 0)
            start += size
    assert np.isfinite(runner.decode(1, [4, 5], [last, last])).all()
