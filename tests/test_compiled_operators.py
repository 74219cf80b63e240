"""Circuits as operators of compiled graphs: see `tests.compiled`."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from qml.backends import Aer, Native, operators
from qml.backends.noisy_native import NoisyNative
from tests.compiled import ALONE, CHECKS, SLOW, circuit, layer

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not operators.KNOWS_OBJECTS, reason="older versions of torch break the graph")
QUICK = [name for name in CHECKS if name not in (*SLOW, *ALONE)]


@lru_cache
def found(names: tuple[str, ...]) -> dict[str, str]:
    """What the checks say in a process of their own."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.compiled", *names], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_compiled_model_is_the_eager_one(name: str) -> None:
    assert found(tuple(QUICK))[name] == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_the_default_compiler_makes_the_eager_model(name: str) -> None:
    assert found((name,))[name] == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_numba_compiles_unseen_by_the_compiler_of_torch(name: str) -> None:
    pytest.importorskip("numba")
    assert found((name,))[name] == ""


@pytest.fixture
def call() -> Callable[[Tensor, Tensor], Tensor]:
    """A circuit as the operator of two arguments."""
    module = layer()
    key = operators.key_of(module.backend, module.circuit, len(module.circuit), "expectation", *module.observables)
    assert key != operators.NO_KEY

    def function(data: Tensor, weights: Tensor) -> Tensor:
        assert module is not None
        return operators.run(data, weights, key, 2)

    return function


def arguments() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(
        torch.rand(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in ((3, 2), (2,))
    )  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_derivatives_of_the_operator_are_central_differences(
    check: Callable[..., bool], call: Callable[[Tensor, Tensor], Tensor]
) -> None:
    assert check(call, arguments())


def test_the_third_derivative_is_that_of_plain_operations(call: Callable[[Tensor, Tensor], Tensor]) -> None:
    def third(function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        data, weights = arguments()
        value = function(data, weights).sin().sum()
        for _ in range(3):
            (gradient,) = torch.autograd.grad(value, weights, create_graph=True)
            value = gradient.sin().sum()
        return value

    observables = layer().observables
    plain = third(lambda data, weights: Native().expectation(circuit(), data, weights, observables))
    torch.testing.assert_close(third(call), plain, rtol=0, atol=1e-12)  # float64 algebra


@pytest.mark.parametrize("levels", ["[]", "[[0, 1]]", "[[1]]"])
def test_torch_accepts_the_operator(levels: str) -> None:
    module = layer()
    key = operators.key_of(module.backend, module.circuit, len(module.circuit), "expectation", *module.observables)
    tensors = [*arguments(), *([torch.rand(3, 2, dtype=torch.float64, requires_grad=True)] if levels != "[]" else [])]
    torch.library.opcheck(operators.derivatives, (tensors, key, 2, levels, "11" if levels == "[]" else ""))


def test_a_graph_whose_model_is_gone_is_refused() -> None:
    module = layer()
    key = operators.key_of(module.backend, module.circuit, len(module.circuit), "expectation", *module.observables)
    del module
    for name in (key, "call of another process"):
        with pytest.raises(
            RuntimeError, match=r"must be alive while the graph runs.*Keep the model, or use torch\.export"
        ):
            operators.run(*arguments(), name, 2)


def test_objects_that_a_trace_shows_in_part_have_no_key() -> None:
    module = layer()
    asked = ("expectation", *module.observables)
    assert operators.key_of(module.backend, module.circuit, len(module.circuit) - 1, *asked) == operators.NO_KEY
    for part in (object.__new__(Native), object()):
        assert operators.key_of(part, module.circuit, len(module.circuit), *asked) == operators.NO_KEY
    partial = object.__new__(type(module.circuit))
    assert operators.key_of(module.backend, partial, 0, *asked) == operators.NO_KEY
    observable = object.__new__(type(module.observables[0]))
    assert operators.key_of(module.backend, module.circuit, len(module.circuit), "expectation", observable) == ""


def test_only_backends_whose_values_cost_nothing_are_run_again() -> None:
    assert Native.is_repeatable
    assert NoisyNative.is_repeatable
    assert not Aer.is_repeatable
