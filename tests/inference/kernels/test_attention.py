"""Attention of our own, against ONNX Runtime's and against itself in other company."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.inference.kernels.attention_calls import Call, Shape, attend, own, theirs

SHAPES = [
    Shape(),
    Shape(interleaved=0),
    Shape(heads=4, kv_heads=4, pairs=16, interleaved=0),
    Shape(heads=8, kv_heads=1, size=128, pairs=64),
    Shape(heads=5, kv_heads=1, size=192, pairs=96),
    Shape(heads=2, kv_heads=2, size=256, pairs=32),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("positions", "tokens"),
    [([0], 1), ([1], 2), ([40], 41), ([128], 1), ([130], 5), ([255], 130), ([3, 127, 300, 0, 129], 1), ([511], 70)],
)
def test_it_computes_what_onnx_runtime_computes(library: Path, shape: Shape, positions: list[int], tokens: int) -> None:
    call = Call.random(shape, positions, tokens, room=512)
    y, cache = attend(own(library, shape), call)
    expected, expected_cache = attend(theirs(shape), call)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)
    for sequence, last in enumerate(positions):
        written = slice(0, last + 1)
        np.testing.assert_allclose(
            cache[:, sequence, :, written], expected_cache[:, sequence, :, written], rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("cuts", [[1] * 9, [5, 3, 1], [4, 5], [8, 1]])
def test_a_prompt_has_the_same_result_to_the_bit_however_it_is_cut(library: Path, cuts: list[int]) -> None:
    shape, session = Shape(), own(library, Shape())
    call = Call.random(shape, [400], 9, room=420)
    whole, cache = attend(session, call)
    start, parts, past = 0, [], call.past
    for size in cuts:
        y, past = attend(session, replace(call.cut(start, start + size), past=past))
        parts.append(y)
        start += size
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    np.testing.assert_array_equal(past[..., :401, :], cache[..., :401, :])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_sequence_has_the_same_result_to_the_bit_in_any_company(library: Path, threads: int) -> None:
    shape = Shape()
    together = Call.random(shape, [5, 300, 127, 128, 60, 411, 0, 17, 129, 255, 256, 400], 1, room=420)
    y, _ = attend(own(library, shape, 2), together)
    session = own(library, shape, threads)
    for sequence in range(len(together.positions)):
        alone, _ = attend(session, together.of(sequence))
        np.testing.assert_array_equal(alone[0], y[sequence])


@pytest.mark.parametrize("last", [36, 127, 128, 299])
def test_what_lies_beyond_the_last_position_is_of_no_effect(library: Path, last: int) -> None:
    shape, session = Shape(), own(library, Shape())
    call = Call.random(shape, [last], 3, room=300)
    expected, _ = attend(session, call)
    dirty = replace(call, past=call.past.copy())
    dirty.past[..., last + 1 :, :] = np.nan
    y, _ = attend(session, dirty)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("room", [1, 3, 17, 129])
def test_a_cache_may_be_full_to_its_last_position(library: Path, room: int) -> None:
    """Also where that is no multiple of what is read at once."""
    call = Call.random(Shape(), [room - 1], 1, room)
    y, _ = attend(own(library, Shape()), call)
    np.testing.assert_allclose(y, attend(theirs(Shape()), call)[0], rtol=0, atol=1e-5)


def test_past_and_present_may_be_one_buffer(library: Path) -> None:
    call = Call.random(Shape(), [200], 3, room=256)
    expected, cache = attend(own(library, Shape()), call)
    session = own(library, Shape())
    binding, feeds = session.io_binding(), call.feeds()
    buffers = {"keys": call.past[0].copy(), "values": call.past[1].copy()}
    for name in ("qkv", "seqlens_k"):
        binding.bind_cpu_input(name, feeds[name])
    for name, buffer in buffers.items():
        place = ("cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        binding.bind_input(f"past_{name}", *place)
        binding.bind_output(name, *place)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(binding.get_outputs()[-1].numpy().reshape(expected.shape), expected)
    np.testing.assert_array_equal(np.stack(list(buffers.values()))[..., :201, :], cache[..., :201, :])


def test_scores_far_apart_leave_the_likeliest(library: Path) -> None:
    """Where e^x would overflow, and where all of a split counts for nothing beside another one."""
    call = Call.random(Shape(), [300], 2, room=320)
    y, _ = attend(own(library, Shape()), replace(call, qkv=call.qkv * 300, past=call.past * 300))
    expected, _ = attend(theirs(Shape()), replace(call, qkv=call.qkv * 300, past=call.past * 300))
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-3)


def test_scores_far_below_zero_weigh_as_they_differ(library: Path) -> None:
    """Keys that look away from every query, each by its own length: nothing but the differences of scores counts."""
    shape = Shape(heads=1, kv_heads=1, pairs=8)  # what does not turn stays as it is
    call = Call.random(shape, [200], 1, room=256)
    call.qkv[..., : 2 * shape.size] = 0
    call.qkv[..., 40], call.qkv[..., shape.size + 40] = 800, -8
    call.past[0] = 0
    call.past[0, ..., :200, 40] = -np.linspace(1, 8, 200)
    y, _ = attend(own(library, shape), call)
    np.testing.assert_allclose(y, attend(theirs(shape), call)[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_query_that_is_no_number_gives_none(library: Path, bad: float) -> None:
    """So that the sampler sees that the model broke."""
    call = Call.random(Shape(), [20], 1, room=64)
    call.qkv[0, 0, 5] = bad
    y, _ = attend(own(library, Shape()), call)
    assert np.isnan(y[0, 0, :64]).all()
    assert np.isfinite(y[0, 0, 64:]).all(), "the other heads"


@pytest.mark.parametrize("positions", [[64], [-1], [2, 64], [1 << 30]], ids=str)
def test_a_position_outside_of_the_cache_is_refused(library: Path, positions: list[int]) -> None:
    """The kernel would write to a bare address."""
    call = replace(Call.random(Shape(), [3] * len(positions), 1, room=64), positions=positions)
    with pytest.raises(Exception, match="seqlens_k is beyond the cache"):
        attend(own(library, Shape()), call)


def test_more_tokens_than_positions_are_refused(library: Path) -> None:
    with pytest.raises(Exception, match="or before its sequence begins"):
        attend(own(library, Shape()), replace(Call.random(Shape(), [9], 5, room=64), positions=[3]))


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({"qkv": np.zeros((2, 959), np.float32)}, "qkv must be"),
        ({"qkv": np.zeros((2, 1, 960), np.float32)}, "qkv must be"),
        ({"past_keys": np.zeros((1, 2, 8, 64), np.float32)}, "keys and values must be"),
        ({"past_values": np.zeros((1, 3, 9, 64), np.float32)}, "keys and values must be"),
        ({"past_keys": np.zeros((1, 3, 8, 60), np.float32)}, "keys and values must be"),
        (dict.fromkeys(("past_keys", "past_values"), np.zeros((1, 3, 8, 32), np.float32)), "head_size must be"),
        ({"seqlens_k": np.zeros(2, np.int32)}, "seqlens_k must have a number for each sequence"),
        ({"seqlens_k": np.zeros((1, 0), np.int32)}, "seqlens_k must have a number for each sequence"),
    ],
)
def test_inputs_that_do_not_fit_together_are_refused_by_name(
    library: Path, feeds: dict[str, np.ndarray], reason: str
) -> None:
    session = own(library, Shape())
    with pytest.raises(Exception, match=reason):
        session.run(None, Call.random(Shape(), [1], 2, room=8).feeds() | feeds)


@pytest.mark.parametrize("changed", [{"num_heads": 10}, {"kv_num_heads": 0}, {"num_heads": -9}])
def test_heads_that_do_not_share_evenly_are_refused(library: Path, changed: dict[str, int]) -> None:
    with pytest.raises(Exception, match="num_heads must be a multiple of kv_num_heads"):
        own(library, Shape(), **changed)
