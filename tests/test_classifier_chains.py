"""Losses of classifiers as one operation of autograd: the same numbers and derivatives as by tensor operations."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from circuits import X, Z
from qml.backends import Native
from qml.nn import (
    CircuitCentricClassifier,
    DataReuploadingClassifier,
    DressedQuantumCircuit,
    IQPClassifier,
)
from qml.simulator.jit.chain import ChainValues

CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {
    "re-uploading": lambda **options: DataReuploadingClassifier(4, 2, **options),
    "re-uploading without padding": lambda **options: DataReuploadingClassifier(6, 2, n_readouts=2, **options),
    "iqp": lambda **options: IQPClassifier(3, 2, **options),
    "circuit-centric": lambda **options: CircuitCentricClassifier(3, 2, **options),
    "circuit-centric without padding": lambda **options: CircuitCentricClassifier(4, 2, **options),
    "dressed": lambda **options: DressedQuantumCircuit(3, n_layers=2, **options),
}
N_INPUTS = {name: maker().n_inputs for name, maker in CLASSIFIERS.items()}  # pyright: ignore[reportAttributeAccessIssue]
pytestmark = pytest.mark.parametrize("name", CLASSIFIERS)


def _problem(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    layer = CLASSIFIERS[name](dtype=dtype, generator=generator)
    inputs = torch.rand(5, N_INPUTS[name], dtype=dtype, generator=generator) - 0.3
    return layer, inputs, torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0], dtype=dtype)


def _loss(layer: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return layer.loss(inputs, labels)  # pyright: ignore[reportCallIssue]


def _of_parameters(layer: nn.Module) -> Callable[..., Tensor]:
    """Return the loss as a function of inputs and parameters."""
    names = [name for name, _ in layer.named_parameters()]

    class Loss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
            return _loss(self.layer, inputs, labels)

    module = Loss()

    def function(inputs: Tensor, labels: Tensor, *parameters: Tensor) -> Tensor:
        values = {f"layer.{name}": value for name, value in zip(names, parameters, strict=True)}
        return torch.func.functional_call(module, values, (inputs, labels))

    return function


def _is_chained(loss: Tensor) -> bool:
    return loss.grad_fn is not None and loss.grad_fn.name().startswith(ChainValues.__name__)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_loss_and_gradients_are_those_of_tensor_operations(name: str, dtype: torch.dtype) -> None:
    layer, inputs, labels = _problem(name, dtype)
    inputs.requires_grad_()
    found = []
    for backend in (Native(), Native(compiled=False)):
        loss = _loss(layer.to_backend(backend), inputs, labels)  # pyright: ignore[reportCallIssue]
        assert _is_chained(loss) == (backend == Native())
        found.append([loss, *torch.autograd.grad(loss, [inputs, *layer.parameters()])])
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    torch.testing.assert_close(found[0], found[1], rtol=tolerance, atol=tolerance)


def test_labels_have_gradients(name: str) -> None:
    layer, inputs, labels = _problem(name)
    labels.requires_grad_()
    found = []
    for backend in (Native(), Native(compiled=False)):
        loss = _loss(layer.to_backend(backend), inputs, labels)  # pyright: ignore[reportCallIssue]
        found.append(torch.autograd.grad(loss, labels, allow_unused=True, materialize_grads=True))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_derivatives_of_both_orders(name: str) -> None:
    layer, inputs, labels = _problem(name)
    inputs, given = inputs[:2].clone().requires_grad_(), tuple(layer.parameters())
    function = _of_parameters(layer)

    def loss(inputs: Tensor, *parameters: Tensor) -> Tensor:
        return function(inputs, labels[:2], *parameters)

    assert torch.autograd.gradcheck(loss, (inputs, *given))
    assert torch.autograd.gradgradcheck(loss, (inputs, *given), fast_mode=True)


def test_stacks_of_parameters_in_one_vmap(name: str) -> None:
    layer, inputs, labels = _problem(name)
    function, own = _of_parameters(layer), [part.detach() for part in layer.parameters()]
    stacks = [(part + torch.arange(3.0, dtype=part.dtype).reshape(3, *[1] * part.ndim) / 3.0) for part in own]
    stacks = [part.requires_grad_() for part in stacks]
    for shared in (False, True):
        rows = inputs if shared else torch.stack([inputs, inputs + 0.1, inputs - 0.2])
        rows = rows.clone().requires_grad_()
        together = torch.vmap(function, (None if shared else 0, None, *[0] * len(stacks)))(rows, labels, *stacks)
        alone = torch.stack(
            [function(rows if shared else rows[k], labels, *(part[k] for part in stacks)) for k in range(3)]
        )
        weights = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
        found = [torch.autograd.grad((weights * losses).sum(), [rows, *stacks]) for losses in (together, alone)]
        torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_stacks_of_samples_share_parameters_and_have_second_derivatives(name: str) -> None:
    layer, inputs, labels = _problem(name)
    function, own = _of_parameters(layer), tuple(layer.parameters())
    rows = torch.stack([inputs, inputs + 0.1])
    together = torch.vmap(function, (0, None, *[None] * len(own)))(rows, labels, *own).sum()
    alone = sum(function(part, labels, *own) for part in rows)
    found = []
    for loss in (together, alone):
        first = torch.autograd.grad(loss, own, create_graph=True)
        found.append(torch.autograd.grad(sum(part.square().sum() for part in first), own, materialize_grads=True))
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-11)


def test_forward_mode_and_nested_transforms(name: str) -> None:
    layer, inputs, labels = _problem(name)
    function, own = _of_parameters(layer), tuple(part.detach() for part in layer.parameters())
    tangents = tuple(torch.ones_like(part) for part in own)
    _, slope = torch.func.jvp(lambda *parts: function(inputs, labels, *parts), own, tangents)
    gradients = torch.func.grad(lambda parts: function(inputs, labels, *parts))(own)
    loss = _loss(layer, inputs, labels)
    expected = torch.autograd.grad(loss, list(layer.parameters()))
    torch.testing.assert_close(gradients, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(slope, sum(part.sum() for part in expected), rtol=1e-11, atol=1e-11)


def test_numbers_that_are_not_finite_are_refused_by_name(name: str) -> None:
    layer, inputs, labels = _problem(name)
    bad = inputs.clone()
    bad[2, 1] = math.nan
    with pytest.raises(ValueError, match="`data` must be finite"):
        _loss(layer, bad, labels)
    with torch.no_grad():
        layer.weights[1] = math.inf  # pyright: ignore
    with pytest.raises(ValueError, match="`weights` must be finite"):
        _loss(layer, inputs, labels)


def test_changed_tensors_are_refused_on_the_way_back(name: str) -> None:
    layer, inputs, labels = _problem(name)
    loss = _loss(layer, inputs, labels)
    with torch.no_grad():
        layer.weights.add_(1.0)  # pyright: ignore
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_subclasses_and_hooks_are_not_passed_over(name: str) -> None:
    layer, inputs, labels = _problem(name)
    expected = _loss(layer, inputs, labels)

    class Negated(type(layer)):
        def values(self, inputs: Tensor) -> Tensor:
            return -super().values(inputs)

    changed, _, _ = _problem(name)
    changed.__class__ = Negated
    loss = _loss(changed, inputs, labels)
    assert not _is_chained(loss)
    assert abs(loss.item() - expected.item()) > 1e-3
    calls = []
    if not isinstance(layer, DataReuploadingClassifier):  # its loss has never been one of scores
        layer.register_forward_hook(lambda *_: calls.append(1))
        torch.testing.assert_close(_loss(layer, inputs, labels), expected, rtol=1e-12, atol=1e-12)
        assert calls == [1]


def test_batches_of_one_sample(name: str) -> None:
    layer, inputs, labels = _problem(name)
    losses = torch.stack([_loss(layer, inputs[k : k + 1], labels[k : k + 1]) for k in range(5)])
    torch.testing.assert_close(losses.mean(), _loss(layer, inputs, labels), rtol=1e-12, atol=1e-12)


@pytest.mark.plain
def test_losses_of_other_shapes(name: str) -> None:
    layer, inputs, labels = _problem(name)
    rows, signs = inputs[:4].reshape(2, 2, -1), labels[:4].reshape(2, 2)
    torch.testing.assert_close(_loss(layer, rows, signs), _loss(layer, inputs[:4], labels[:4]), rtol=1e-12, atol=1e-12)
    one = _loss(layer, inputs[0], labels[0])
    torch.testing.assert_close(one, _loss(layer, inputs[:1], labels[:1]), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="one label a sample"):
        _loss(layer, inputs, labels[:3])


def test_losses_without_gradients(name: str) -> None:
    layer, inputs, labels = _problem(name)
    expected = _loss(layer, inputs, labels).detach()
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            torch.testing.assert_close(_loss(layer, inputs, labels), expected, rtol=0.0, atol=0.0)


def test_stacks_of_labels_in_one_vmap(name: str) -> None:
    layer, inputs, labels = _problem(name)
    stack, factors = torch.stack([labels, -labels, labels.roll(1)]).requires_grad_(), torch.tensor([1.0, 2.0, -1.0])
    together = torch.vmap(lambda own: _loss(layer, inputs, own))(stack)
    alone = torch.stack([_loss(layer, inputs, own) for own in stack])
    leaves = [stack, *layer.parameters()]
    found = [
        torch.autograd.grad((factors.double() * losses).sum(), leaves, materialize_grads=True, allow_unused=True)
        for losses in (together, alone)
    ]
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_one_parameter_of_several_in_one_vmap(name: str) -> None:
    layer, inputs, labels = _problem(name)
    function, own = _of_parameters(layer), list(layer.parameters())
    for place, part in enumerate(own):
        stack = torch.stack([part.detach(), 2.0 * part.detach() + 1.0]).requires_grad_()
        shares = [None] * len(own)
        dims = (None, None, *shares[:place], 0, *shares[place + 1 :])
        together = torch.vmap(function, dims)(inputs, labels, *own[:place], stack, *own[place + 1 :])
        alone = torch.stack([function(inputs, labels, *own[:place], one, *own[place + 1 :]) for one in stack])
        torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
        leaves = [stack, *own[:place], *own[place + 1 :]]
        found = [torch.autograd.grad(losses.square().sum(), leaves) for losses in (together, alone)]
        torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_no_samples_in_a_vmap(name: str) -> None:
    layer, inputs, labels = _problem(name)
    stack = inputs.new_zeros(0, *inputs.shape, requires_grad=True)
    losses = torch.vmap(lambda rows: _loss(layer, rows, labels))(stack)
    assert losses.shape == (0,)
    losses.sum().backward()
    assert stack.grad is not None
    assert stack.grad.shape == stack.shape


def _tripled(layer: nn.Module) -> list[type]:
    kind = type(layer)

    class Tripling:
        def scores(self, values: Tensor) -> Tensor:
            return 3.0 * super().scores(values)  # pyright: ignore

    class Mixed(Tripling, kind):  # pyright: ignore
        pass

    class WithLoss(Tripling, kind):  # pyright: ignore
        def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
            return super().loss(inputs, labels)  # pyright: ignore

    return [Mixed, WithLoss]


def test_scores_that_are_mixed_in_reach_the_loss(name: str) -> None:
    layer, inputs, labels = _problem(name)
    if isinstance(layer, DataReuploadingClassifier):  # its loss is of values
        return
    for kind in _tripled(layer):
        changed, _, _ = _problem(name)
        changed.__class__ = kind
        loss = _loss(changed, inputs, labels)
        plain = _loss(changed.to_backend(Native(compiled=False)), inputs, labels)  # pyright: ignore
        assert not _is_chained(loss)
        torch.testing.assert_close(loss, plain, rtol=1e-12, atol=1e-12)
    own = layer.scores  # pyright: ignore
    layer.scores = lambda values: 3.0 * own(values)  # pyright: ignore
    torch.testing.assert_close(_loss(layer, inputs, labels), loss, rtol=1e-12, atol=1e-12)  # pyright: ignore


def test_angles_of_a_subclass_with_a_loss_of_its_own_are_taken(name: str) -> None:
    layer, inputs, labels = _problem(name)

    class Reversed(type(layer)):
        def angles(self, inputs: Tensor) -> Tensor:
            return super().angles(inputs.flip(1))

        def loss(self, inputs: Tensor, labels: Tensor) -> Tensor:
            return super().loss(inputs, labels)

    expected = layer(inputs.flip(1)), _loss(layer, inputs.flip(1), labels)
    layer.__class__ = Reversed
    torch.testing.assert_close((layer(inputs), _loss(layer, inputs, labels)), expected, rtol=1e-12, atol=1e-12)


def test_derivatives_under_autocast_keep_their_precision(name: str) -> None:
    layer, inputs, labels = _problem(name, torch.float32)
    own = list(layer.parameters())
    for n_samples in (1, 5):  # one sample runs without a chain
        given = inputs[:n_samples], labels[:n_samples]
        with torch.autocast("cpu", torch.bfloat16):
            found = torch.autograd.grad(_loss(layer, *given), own, create_graph=True)
        expected = torch.autograd.grad(_loss(layer, *given), own)
        tolerance = 1e-5 if n_samples > 1 or not isinstance(layer, DressedQuantumCircuit) else 2e-2
        # The last is that of torch's own products of matrices around the circuit, whose derivatives are in bfloat16.
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_parameters_of_other_shapes_and_dtypes(name: str) -> None:
    layer, inputs, labels = _problem(name)
    function, own = _of_parameters(layer), [part.detach() for part in layer.parameters()]
    for place in range(1, len(own)):  # the first are the weights, whose shape has always been looked at
        for one in (own[place][None], *([own[place][:, :-1], own[place][:-1]] if own[place].ndim else [])):
            with pytest.raises(ValueError, match=r"must have (the )?shape"):
                function(inputs, labels, *own[:place], one, *own[place + 1 :])
    narrow = [own[0], *(part.float() for part in own[1:])]
    if isinstance(layer, DressedQuantumCircuit):
        with pytest.raises(RuntimeError, match="same dtype"):
            function(inputs, labels, *narrow)
        return
    found = []
    for backend in (Native(), Native(compiled=False)):
        layer.to_backend(backend)  # pyright: ignore
        found.append(function(inputs, labels, *narrow))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_observables_that_somebody_replaces(name: str) -> None:
    layer, inputs, labels = _problem(name)
    listed = list(layer.observables)  # pyright: ignore
    layer.observables = listed  # pyright: ignore
    _loss(layer, inputs, labels)
    listed[0] = X(0)
    changed = _loss(layer, inputs, labels)
    layer.observables = tuple(listed)  # pyright: ignore
    torch.testing.assert_close(changed, _loss(layer, inputs, labels), rtol=1e-12, atol=1e-12)
    layer.observables = (*listed[:-1], Z(9))  # pyright: ignore
    with pytest.raises(ValueError, match="must act on qubits"):
        _loss(layer, inputs, labels)


def test_norms_and_logits_out_of_range_are_no_numbers(name: str) -> None:
    layer, inputs, labels = _problem(name)
    if isinstance(layer, CircuitCentricClassifier):
        with pytest.raises(ValueError, match="must be finite"):
            _loss(layer, 1e160 * inputs, labels)
    if isinstance(layer, DressedQuantumCircuit):
        with torch.no_grad():
            layer.exit[0, 0] = math.inf
        assert _loss(layer, inputs, labels).isnan()
