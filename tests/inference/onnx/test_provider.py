"""The provider is CUDA where it works, else the CPU, and the reason is told."""

import pytest

from inference.onnx.provider import CPU, CUDA, ProviderUnavailable, choose_provider, probe_cuda


def test_cuda_is_taken_where_it_works() -> None:
    provider = choose_provider("auto", probe=lambda: None)
    assert (provider.name, provider.is_cuda) == (CUDA, True)


def test_the_cpu_is_taken_where_cuda_does_not_work_and_the_reason_is_told() -> None:
    provider = choose_provider("auto", probe=lambda: "there is no device")
    assert (provider.name, provider.reason, provider.is_cuda) == (CPU, "there is no device", False)


def test_the_cpu_is_taken_without_a_look_at_cuda_if_asked_for() -> None:
    def never() -> str | None:
        raise AssertionError("probed")

    assert choose_provider("cpu", probe=never).name == CPU


def test_cuda_asked_for_by_name_is_not_replaced_in_silence() -> None:
    with pytest.raises(ProviderUnavailable, match="cuda was asked for, but there is no device"):
        choose_provider("cuda", probe=lambda: "there is no device")


def test_the_probe_agrees_with_what_a_session_gets() -> None:
    """On a machine with a device the probe finds nothing wrong; elsewhere it gives one clause."""
    problem = probe_cuda()
    assert problem is None or (problem[0].islower() and not problem.endswith(".") and "\n" not in problem)
