"""The compiled kernel in several threads: the numbers of one thread, whichever passes and transforms are asked."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from circuits import Circuit, X, Y, Z, ansatzes, feature_maps
from qml.backends import Native
from qml.simulator.jit import side_by_side
from qml.simulator.jit.side_by_side import shared_block, shares, useful_threads
from tests.strategies import examples

OBSERVABLES = [Z(0), X(2) @ Y(5)]
N_SAMPLES = 37


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let small passes run in threads, and give torch its threads back."""
    pytest.importorskip("numba")
    monkeypatch.setattr(side_by_side, "OPERATIONS_OF_A_THREAD", 1.0)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def case(dtype: torch.dtype = torch.float64) -> tuple[Circuit, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    circuit = feature_maps.angle(6).compose(ansatzes.strongly_entangling(6, 2))
    inputs = torch.rand(N_SAMPLES, 6, generator=generator, dtype=dtype)
    return circuit, inputs, torch.rand(circuit.n_weights, generator=generator, dtype=dtype)


def passes(n_forward: int, n_backward: int) -> list[Tensor]:
    """Return values, and gradients of inputs and weights, with so many threads in each pass."""
    circuit, inputs, weights = case()
    own = [inputs.requires_grad_(), weights.requires_grad_()]
    torch.set_num_threads(n_forward)
    values = Native(compiled=True).expectation(circuit, *own, OBSERVABLES)
    torch.set_num_threads(n_backward)
    return [values, *torch.autograd.grad(values.square().sum(), own)]


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@given(groups=st.integers(1, 9), batch=st.integers(1, 70), block=st.integers(1, 40), n_threads=st.integers(1, 9))
@examples(200)
def test_shares_hold_every_sample_once_and_whole_blocks(groups: int, batch: int, block: int, n_threads: int) -> None:
    parts = shares(groups, batch, block, n_threads)
    assert 1 <= len(parts) <= n_threads
    assert [row for samples, _ in parts for row in range(samples.start, samples.stop)] == list(range(groups * batch))
    for samples, own in parts:
        assert samples.stop > samples.start
        if groups > 1:
            assert (samples.start, samples.stop) == (own.start * batch, own.stop * batch)
        else:
            assert samples.start % block == 0
            assert own == slice(0, 1)


def test_blocks_are_as_many_as_threads_but_not_of_too_few_samples() -> None:
    assert shared_block(32, 40, 2) == 20
    assert shared_block(32, 1000, 2) == 32
    assert shared_block(32, 32, 64) == side_by_side.MIN_SHARED_BLOCK
    assert shared_block(8, 3, 4) == 4  # a single block, of three samples


@pytest.mark.parametrize("n_forward", [1, 2, 5])
@pytest.mark.parametrize("n_backward", [1, 3])
def test_any_numbers_of_threads_give_the_numbers_of_one(n_forward: int, n_backward: int) -> None:
    assert_same(passes(n_forward, n_backward), passes(1, 1))


def test_values_without_gradients_have_room_of_their_own_in_each_thread() -> None:
    circuit, inputs, weights = case()
    found = []
    for n_threads in (1, 4):
        torch.set_num_threads(n_threads)
        found.append(Native(compiled=True).expectation(circuit, inputs, weights, OBSERVABLES))
    assert_same(found[1:], found[:1])


def test_state_vectors_and_their_gradients() -> None:
    circuit, inputs, weights = case()
    direction = torch.rand(2**6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        own = [inputs.clone().requires_grad_(), weights.clone().requires_grad_()]
        states = Native(compiled=True).state(circuit, *own)
        loss = (states @ direction.to(states.dtype)).abs().square().sum()
        found.append([states, *torch.autograd.grad(loss, own)])
    assert_same(found[1], found[0])
    plain = Native(compiled=False).state(circuit, inputs, weights)
    torch.testing.assert_close(found[1][0], plain, rtol=1e-10, atol=1e-12)


def test_an_ensemble_of_weights_is_shared_by_groups() -> None:
    circuit, inputs, weights = case()
    ensemble = torch.stack([weights * factor for factor in (0.5, 1.0, 1.5, 2.0, 2.5)]).requires_grad_()

    def values(own: Tensor) -> Tensor:
        return Native(compiled=True).expectation(circuit, inputs, own, OBSERVABLES)

    found = []
    for n_threads in (1, 2, 7):
        torch.set_num_threads(n_threads)
        together = torch.vmap(values)(ensemble)
        found.append([together, *torch.autograd.grad(together.square().sum(), ensemble)])
    for other in found[1:]:
        assert_same(other, found[0])


def test_what_is_not_finite_in_one_share_is_refused() -> None:
    circuit, inputs, weights = case()
    inputs[-1, 0] = torch.nan
    torch.set_num_threads(3)
    with pytest.raises(ValueError, match="data"):
        Native(compiled=True).expectation(circuit, inputs, weights, OBSERVABLES)


def test_small_passes_stay_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    torch.set_num_threads(4)
    assert useful_threads(1e6) == 1
    assert useful_threads(1.1e7) == 2
    assert useful_threads(1e12) == 4


def test_an_error_in_a_thread_arrives_after_all_have_ended() -> None:
    ended = []

    def fails() -> None:
        raise RuntimeError("a thread failed")

    with pytest.raises(RuntimeError, match="a thread failed"):
        side_by_side.run_all([lambda: ended.append(0), fails, lambda: ended.append(2)])
    assert sorted(ended) == [0, 2]


def test_threads_of_a_user_share_the_threads_of_the_kernel() -> None:
    wanted, found = passes(1, 1), {}
    torch.set_num_threads(3)
    circuit, inputs, weights = case()

    def work(number: int) -> None:
        found[number] = Native(compiled=True).expectation(circuit, inputs, weights, OBSERVABLES)

    callers = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for number in range(12):
        assert_same([found[number]], wanted[:1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_the_child_of_a_fork_has_threads_of_its_own() -> None:
    """A pool that came over the fork would wait for threads that are not there."""
    script = """
import os, sys, torch
from qml.simulator.jit import side_by_side
side_by_side.OPERATIONS_OF_A_THREAD = 1.0
torch.set_num_threads(2)
from tests.test_threads_of_the_kernel import OBSERVABLES, case
from qml.backends import Native
circuit, inputs, weights = case()
values = Native(compiled=True).expectation(circuit, inputs, weights, OBSERVABLES)
child = os.fork()
if child == 0:
    again = Native(compiled=True).expectation(circuit, inputs, weights, OBSERVABLES)
    os._exit(0 if torch.equal(again, values) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=200).returncode == 0


@pytest.mark.parametrize("start", ["atexit.register(again)", "threading.Thread(target=again).start()"])
def test_values_at_the_end_of_a_program(start: str) -> None:
    """Python starts no threads for an executor then."""
    script = f"""
import atexit, threading, torch
from qml.simulator.jit import side_by_side
side_by_side.OPERATIONS_OF_A_THREAD = 1.0
torch.set_num_threads(2)
from tests.test_threads_of_the_kernel import OBSERVABLES, case
from qml.backends import Native
circuit, inputs, weights = case()
values = Native(compiled=True).expectation(circuit, inputs, weights, OBSERVABLES)
def again():
    if threading.current_thread() is not threading.main_thread():
        threading.main_thread().join()
    same = Native(compiled=True).expectation(circuit, inputs, weights, OBSERVABLES)
    print("the same" if torch.equal(same, values) else "other values")
{start}
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=200, capture_output=True, text=True)
    assert done.stdout.strip() == "the same"
    assert "Error" not in done.stderr
