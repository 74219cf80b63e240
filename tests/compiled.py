"""Compiled models and what may go wrong with them; each check raises. They run in a process of their own.

The type checks that pytest wraps around every function cannot be compiled.
"""

import copy
import gc
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from circuits import Circuit, X, Z, data, weight
from qml.backends import Native
from qml.nn import QKANLayer, QNNClassifier, QuantumLayer, to_backend

SAME = 1e-12  # float64, the same operations


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def circuit(angle: float = 0.3) -> Circuit:
    return Circuit(2).ry(data(0), 0).rx(angle, 1).ry(data(1), 1).cx(0, 1).ry(weight(0), 1).rx(weight(1), 0)


def layer(**options: Any) -> QuantumLayer:
    return QuantumLayer(circuit(), [Z(0), Z(0) @ X(1)], dtype=torch.float64, generator=seeded(), **options)


def hybrid() -> nn.Module:
    torch.manual_seed(0)
    generator = seeded(1)
    quantum = layer()
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh(), quantum, QKANLayer(2, 2, generator=generator)).double()


def whole(function: Any, backend: str = "aot_eager", **options: Any) -> Any:
    torch._dynamo.reset()
    return torch.compile(function, backend=backend, fullgraph=True, **options)


def inputs(n: int = 3, size: int = 2) -> Tensor:
    return torch.rand(n, size, dtype=torch.float64, generator=seeded(5))


def equal(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=SAME)


def same(compiled: Any, module: nn.Module, x: Tensor) -> None:
    """Values, and gradients by inputs and parameters."""
    results = []
    for function in (compiled, module):
        leaf = x.clone().requires_grad_()
        values = function(leaf)
        results.append([values.detach(), *torch.autograd.grad(values.sin().sum(), [leaf, *module.parameters()])])
    equal(*results)


def refused(error: type[Exception], words: str, function: Callable[[], Any]) -> None:
    with pytest.raises(error, match=words):
        function()


# --- checks -----------------------------------------------------------------------------------------------------------


def training() -> None:
    """Ten steps of Adam end on the same weights."""
    ends = []
    for compile_it in (True, False):
        model, x = hybrid(), inputs(6, 3)
        function = whole(model) if compile_it else model
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(10):
            optimizer.zero_grad()
            (function(x) - 0.3).square().sum().backward()
            optimizer.step()
        ends.append([value.detach().clone() for value in model.parameters()])
    assert float((ends[0][0] - hybrid().state_dict()["0.weight"]).abs().max()) > 0.1
    equal(*ends)


def inductor() -> None:
    """The default compiler, which makes C++."""
    model = hybrid()
    same(whole(model, "inductor"), model, inputs(4, 3))


def probabilities() -> None:
    module = QuantumLayer(circuit(), probabilities_of=[1, 0], dtype=torch.float64, generator=seeded())
    same(whole(module), module, inputs())


def any_batch() -> None:
    """A dynamic batch size is traced once; an empty batch and one sample too are right."""
    module, graphs = layer(), torch._dynamo.utils.counters["stats"]
    function = whole(module, dynamic=True)
    function(inputs(3))
    function(inputs(5))  # the circuit has its numbers of slots now, which the first trace computed
    before = graphs["unique_graphs"]
    for n in (7, 4, 6):
        function(inputs(n))
    assert graphs["unique_graphs"] == before
    for n in (3, 8, 2):
        same(function, module, inputs(n))
    for n in (0, 1):
        same(function, module, inputs(n))


def moved_after_compiling() -> None:
    module = layer()
    function, x = whole(module), inputs()
    exact = function(x).detach()
    for backend in (Native(readout_error=(0.1, 0.2)), Native(method="adjoint"), Native()):
        to_backend(module, backend)
        same(function, module, x)
    module.to_backend(Native(readout_error=(0.1, 0.2)))
    assert float((function(x) - exact).abs().max()) > 0.01


def changed_after_compiling() -> None:
    """Another circuit, other observables, or a circuit that has grown: traced anew."""
    module, x = layer(), inputs()
    function = whole(module)
    function(x)
    module.circuit = circuit(1.3)
    same(function, module, x)
    module.observables = (Z(1), X(0))
    same(function, module, x)
    module.circuit.ry(0.7, 0)
    same(function, module, x)


def twins() -> None:
    """One compiled function, called with several layers, and with copies of one."""
    torch._dynamo.reset()
    function = torch.compile(lambda module, x: module(x), backend="aot_eager", fullgraph=True)
    first = layer()
    second = copy.deepcopy(first)
    second.circuit = circuit(2.0)
    for module in (first, second, first):
        equal(function(module, inputs()), module(inputs()))


def circuits_that_go() -> None:
    """A circuit that is freed may give its place in memory to another one: the old one never runs for the new."""
    module, x = layer(), inputs()
    torch._dynamo.reset()
    function = torch.compile(module, backend="aot_eager", fullgraph=True)
    function(x)
    for turn in range(3):
        module.circuit = None  # the old one is freed before the new one, of the same length, is made
        gc.collect()
        module.circuit = circuit(0.3 + turn)
        equal(function(x), module(x))


def threads() -> None:
    """Threads that share a compiled model: each gets its own values and gradients, whoever's forward pass was last."""
    module = layer()
    function, rows = whole(module), [torch.rand(3, 2, dtype=torch.float64, generator=seeded(k)) for k in range(4)]
    function(rows[0]).sum().backward()  # compiled once, in this thread
    right = [torch.autograd.grad(module(x).square().sum(), [module.weights])[0] for x in rows]
    wrong: list[str] = []

    def work(x: Tensor, expected: Tensor) -> None:
        try:
            for _ in range(20):
                equal(torch.autograd.grad(function(x).square().sum(), [module.weights])[0], expected)
        except Exception as error:  # noqa: BLE001 - it is raised again below, by the thread that asked
            wrong.append(f"{type(error).__name__}: {error}")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work, args=pair) for pair in zip(rows, right, strict=True)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong, wrong[0]


def made_within() -> None:
    """What is made within the function has no key: right between graphs."""
    kept = layer()

    def backend_within(x: Tensor) -> Tensor:
        return Native(readout_error=(0.1, 0.2)).expectation(kept.circuit, x, kept.weights, kept.observables)

    def circuit_within(x: Tensor) -> Tensor:
        made = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1)
        return Native().expectation(made, x, x.new_zeros(0), [Z(0), 0.5 * Z(1)])

    def observables_within(x: Tensor) -> Tensor:
        return Native().expectation(kept.circuit, x, kept.weights, [Z(1), 0.5 * X(0)])

    grown = circuit()

    def grown_within(x: Tensor) -> Tensor:
        return Native().expectation(grown.copy().rx(0.4, 0), x, kept.weights, [Z(1)])

    for function in (backend_within, circuit_within, observables_within, grown_within):
        torch._dynamo.reset()
        compiled = torch.compile(function, backend="aot_eager")
        for _ in range(2):
            equal(compiled(inputs()), function(inputs()))


def orders_of_passes() -> None:
    """Backward passes in any order, twice, and by other inputs than the last."""
    module, names = layer(), [0.0, 0.5, 1.0]
    function = whole(module)
    outputs = [function(inputs() + shift) for shift in names]
    for index in (1, 0, 2, 0):
        found = torch.autograd.grad(outputs[index].sin().sum(), module.weights, retain_graph=True)
        expected = torch.autograd.grad(module(inputs() + names[index]).sin().sum(), module.weights)
        equal(found, expected)


def outputs_are_free() -> None:
    """Writing into an output does not reach what the backward pass needs."""
    module = layer()
    function = whole(lambda x: module(x).mul_(2.0).add_(1.0))
    found = torch.autograd.grad(function(inputs()).square().sum(), module.weights)
    equal(found, torch.autograd.grad((2 * module(inputs()) + 1).square().sum(), module.weights))


def no_gradients() -> None:
    module = layer()
    function = whole(module)
    with torch.no_grad():
        equal(function(inputs()), module(inputs()))
    with torch.inference_mode():
        equal(function(inputs()), module(inputs()))
    frozen = layer().requires_grad_(False)
    leaf = inputs().requires_grad_()
    equal(*[torch.autograd.grad(f(leaf).sum(), leaf) for f in (whole(frozen), frozen)])


def autocast() -> None:
    model = nn.Sequential(nn.Linear(3, 2), QNNClassifier(2, "zx", generator=seeded()))
    function = whole(model)
    x = inputs(4, 3).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = function(x), model(x)
    assert found.dtype == expected.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-2)  # the linear layer rounds to bfloat16, once or twice
    assert torch.isfinite(torch.autograd.grad(found.sum(), model[1].weights)[0]).all()


def bad_inputs() -> None:
    """Values are looked at when the graph runs."""
    module = layer()
    function = whole(module)
    function(inputs())
    refused(ValueError, "must be finite", lambda: function(torch.full((3, 2), torch.nan, dtype=torch.float64)))


def second_order() -> None:
    """torch has no double backward pass of compiled functions, and says so."""
    module = layer()
    (gradient,) = torch.autograd.grad(whole(module)(inputs()).square().sum(), module.weights, create_graph=True)
    refused(RuntimeError, "double backward", lambda: torch.autograd.grad(gradient.sum(), module.weights))


def many_gradients() -> None:
    """torch has no rule for many gradients at once through a registered operator, and says so."""
    module = layer()
    output = whole(module)(inputs()).flatten()
    rows = torch.eye(len(output), dtype=output.dtype)
    refused(
        RuntimeError,
        "Batching rule not implemented",
        lambda: torch.autograd.grad(output, module.weights, rows, is_grads_batched=True),
    )


def transforms() -> None:
    """torch.func and forward mode, within the compiled function and around it: right, between graphs."""
    module, x = layer(), inputs()
    point = module.weights.detach()

    def loss(weights: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"weights": weights}, (x,)).square().sum()

    for transform in (torch.func.grad, torch.func.hessian, torch.func.jacfwd):
        torch._dynamo.reset()
        equal(torch.compile(transform(loss), backend="aot_eager")(point), transform(loss)(point))
        compiled = torch.compile(loss, backend="aot_eager")
        compiled(point)
        equal(transform(compiled)(point), transform(loss)(point))
    torch._dynamo.reset()
    compiled = torch.compile(loss, backend="aot_eager")
    compiled(point)
    tangents = []
    for function in (compiled, loss):
        with forward_ad.dual_level():
            tangents.append(forward_ad.unpack_dual(function(forward_ad.make_dual(point, point + 1))).tangent)
    equal(*tangents)


def first_kernel() -> None:
    """The first call of the kernel, for which numba compiles, from within a transform that torch.compile gives up."""
    module, x, rows = layer(backend=Native(compiled=True)), inputs(), torch.rand(4, 2, generator=seeded(7)).double()

    def values(weights: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"weights": weights}, (x,))

    torch._dynamo.reset()
    found = torch.compile(torch.func.vmap(values), backend="aot_eager")(rows)
    equal(found, torch.func.vmap(values)(rows))
    equal(found, torch.stack([values(row) for row in rows]))


def weights_of_samples() -> None:
    """Weights of every sample, whose circuit is made within the function the first time."""
    module, rows = layer(), torch.rand(3, 2, dtype=torch.float64, generator=seeded(7))
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="aot_eager")
    for _ in range(2):
        equal(compiled(inputs(), rows), module(inputs(), rows))
    refused(Exception, "circuit_between_compiled_graphs", lambda: whole(layer())(inputs(), rows))


def nothing_is_kept() -> None:
    """A backward pass uses up what the forward pass kept, and calls go with their circuits."""
    from qml.backends import operators

    module = layer()
    function = whole(module)
    before = set(operators._CALLS)
    output = function(inputs())
    (key,) = set(operators._CALLS) - before
    assert len(operators._CALLS[key].kept) == 1
    output.sum().backward()
    assert not operators._CALLS[key].kept
    with torch.no_grad():
        function(inputs())
    assert not operators._CALLS[key].kept
    module.circuit = circuit(0.1)  # the old one goes
    gc.collect()
    assert key not in operators._CALLS


CHECKS: dict[str, Callable[[], None]] = {
    check.__name__: check
    for check in (
        *(training, inductor, probabilities, any_batch, moved_after_compiling, changed_after_compiling, twins),
        *(made_within, orders_of_passes, outputs_are_free, no_gradients, autocast, bad_inputs, second_order),
        *(circuits_that_go, threads, many_gradients, transforms, weights_of_samples, nothing_is_kept),
        first_kernel,
    )
}
SLOW = ("inductor",)
ALONE = ("first_kernel",)  # of a process in which no kernel ran before


def verdicts(names: list[str]) -> dict[str, str]:
    """For each check nothing, or what went wrong."""
    result = {}
    for name in names:
        try:
            CHECKS[name]()
            result[name] = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the test that asked shows it
            result[name] = f"{type(error).__name__}: {error}"[:2000]
    return result


if __name__ == "__main__":
    sys.stdout.write(json.dumps(verdicts(sys.argv[1:])))
