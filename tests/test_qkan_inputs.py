"""What every layer of the QKAN family is given at its worst: bad arguments are named, extreme inputs stay finite."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from circuits import Circuit, data, weight
from qml.nn import (
    DARUAN,
    HQKAN,
    HQKANLSTM,
    QKAN,
    QKANGRU,
    QKANLSTM,
    QLSTM,
    HQKANLSTMCell,
    JHCGNet,
    QKANGRUCell,
    QKANLayer,
    QKANLSTMCell,
)

FEATURES = 3


class Family(NamedTuple):
    """A layer of 3 features, with options of its QKAN layers, and the names and makers of its sizes."""

    make: Callable[..., nn.Module]
    sizes: dict[str, Callable[[int], nn.Module]]
    steps: int | None = None  # of a series; None where there is no time


def jhcg(**options: Any) -> JHCGNet:
    return JHCGNet(FEATURES, 2, QKAN([2, 2], **options), latent=(2, 2), generator=options.get("generator"))


LAYERS = {
    "DARUAN": Family(lambda **o: DARUAN(FEATURES, **o), {"n_features": DARUAN}),
    "QKANLayer": Family(
        lambda **o: QKANLayer(FEATURES, 2, **o),
        {"in_features": lambda n: QKANLayer(n, 2), "out_features": lambda n: QKANLayer(2, n)},
    ),
    "QKAN": Family(lambda **o: QKAN([FEATURES, 2, 1], **o), {"widths": lambda n: QKAN([2, n, 1])}),
    "HQKAN": Family(
        lambda **o: HQKAN(FEATURES, 2, **o),
        {
            "in_features": lambda n: HQKAN(n, 2),
            "out_features": lambda n: HQKAN(2, n),
            "latent": lambda n: HQKAN(4, 4, latent=(2, n)),
        },
    ),
    "JHCGNet": Family(
        jhcg,
        {
            "in_features": lambda n: JHCGNet(n, 2, nn.Identity(), latent=(2, 2)),
            "out_features": lambda n: JHCGNet(2, n, nn.Identity(), latent=(2, 2)),
            "latent": lambda n: JHCGNet(2, 2, nn.Identity(), latent=(2, n)),
        },
    ),
    **{
        cell.__name__: Family(
            lambda cell=cell, **o: cell(FEATURES, 2, **o),
            {"input_size": lambda n, cell=cell: cell(n, 2), "hidden_size": lambda n, cell=cell: cell(2, n)},
        )
        for cell in (QKANLSTMCell, QKANGRUCell, HQKANLSTMCell)
    },
    **{
        layer.__name__: Family(
            lambda layer=layer, **o: layer(FEATURES, 2, batch_first=True, **o),
            {
                "input_size": lambda n, layer=layer: layer(n, 2),
                "hidden_size": lambda n, layer=layer: layer(2, n),
                "num_layers": lambda n, layer=layer: layer(2, 2, n),
            },
            steps=4,
        )
        for layer in (QKANLSTM, HQKANLSTM, QKANGRU, QLSTM)
    },
}
OF_CIRCUITS = [name for name in LAYERS if name != "QLSTM"]  # whose circuit is given and not chosen
RECURRENT = [name for name, family in LAYERS.items() if family.steps]
CELLS = [name for name in LAYERS if name.endswith("Cell")]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batch_of(name: str, value: float, batch: int = 2, features: int = FEATURES) -> Tensor:
    steps = LAYERS[name].steps
    return torch.full((batch, features) if steps is None else (batch, steps, features), value)


def tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result for tensor in tensors(part)]


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, family in LAYERS.items() for size in family.sizes])
@pytest.mark.parametrize("value", [0, -1])
def test_sizes_below_one_are_refused_by_name(name: str, size: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"`{size}` must be at least 1, but is {value}"):
        LAYERS[name].sizes[size](value)


@pytest.mark.parametrize("name", OF_CIRCUITS)
def test_circuits_that_are_no_activations_are_refused_by_name(name: str) -> None:
    two_qubits = Circuit(2).ry(data(0), 0).cx(0, 1)
    no_input = Circuit(1).ry(weight(0), 0)
    unseen = Circuit(1).ry(weight(0), 0).rz(data(0), 0)  # turns about Z and reads Z
    for options, message in (
        ({"reps": 0}, "`reps` must be at least 1, but is 0"),
        ({"ansatz": two_qubits}, "`ansatz` must be a circuit of one qubit, but has 2"),
        ({"ansatz": no_input}, "`ansatz` must measure something of its input"),
        ({"ansatz": unseen}, "`ansatz` must measure something of its input"),
        ({"ansatz": Circuit(1).ry(data(0), 0).measure(0)}, "`ansatz` must be a unitary circuit"),
        ({"ansatz": "nonsense"}, "`ansatz` must be one of pz"),
    ):
        with pytest.raises(ValueError, match=message):
            LAYERS[name].make(**options)


def test_the_qlstm_refuses_circuits_without_layers() -> None:
    with pytest.raises(ValueError, match="`n_circuit_layers` must be at least 1, but is 0"):
        QLSTM(2, 2, n_circuit_layers=0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", LAYERS)
def test_inputs_that_are_not_finite_are_refused_by_name(name: str, value: float) -> None:
    layer = LAYERS[name].make(generator=seeded())
    inputs = batch_of(name, 0.5)
    inputs[1, ..., 0] = value
    with pytest.raises(ValueError, match="`inputs` must be finite, but holds NaN or infinity"):
        layer(inputs)


@pytest.mark.parametrize("name", [*CELLS, *RECURRENT])
def test_states_that_are_not_finite_are_refused_by_name(name: str) -> None:
    layer = LAYERS[name].make(generator=seeded())
    states = tensors(layer(batch_of(name, 0.5)))[0 if name in CELLS else 1 :]
    for index in range(len(states)):
        bad = [torch.zeros_like(state) for state in states]
        bad[index][..., 0] = math.nan
        with pytest.raises(ValueError, match="`state` must be finite, but holds NaN or infinity"):
            layer(batch_of(name, 0.5), bad[0] if len(bad) == 1 else tuple(bad))


@pytest.mark.parametrize("name", CELLS)
def test_states_and_inputs_of_another_shape_are_refused_by_a_cell(name: str) -> None:
    layer = LAYERS[name].make(generator=seeded())
    states = [torch.zeros(3, 2) for _ in tensors(layer(batch_of(name, 0.5)))]
    with pytest.raises(ValueError, match=r"`state` must have shape \(2, 2\), but has shape \(3, 2\)"):
        layer(batch_of(name, 0.5), states[0] if len(states) == 1 else tuple(states))
    with pytest.raises(ValueError, match="`inputs` must have 1 or 2 dimensions"):
        layer(torch.zeros(2, 4, FEATURES))


@pytest.mark.parametrize("name", LAYERS)
def test_another_last_dimension_is_refused_by_name(name: str) -> None:
    layer = LAYERS[name].make(generator=seeded())
    for inputs in (batch_of(name, 0.5, features=FEATURES + 1), torch.tensor(0.5)):
        with pytest.raises((ValueError, TypeCheckError), match="inputs"):  # the tests' type checks come first for 0-d
            layer(inputs)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 3\), but has shape"):
        layer(batch_of(name, 0.5, features=FEATURES + 1))


@pytest.mark.parametrize("value", [1e6, -1e6, 0.0, -0.0, 1e-40, 1e30])
@pytest.mark.parametrize("name", LAYERS)
def test_extreme_inputs_give_finite_values_and_gradients(name: str, value: float) -> None:
    layer = LAYERS[name].make(generator=seeded())
    for batch in (1, 40):  # point by point, and by a series
        inputs = batch_of(name, value, batch).requires_grad_()
        outputs = tensors(layer(inputs))
        sum(output.sum() for output in outputs).backward()
        assert all(bool(output.isfinite().all()) for output in outputs)
        assert bool(inputs.grad.isfinite().all())
        assert all(bool(p.grad.isfinite().all()) for p in layer.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", LAYERS)
def test_an_empty_batch_gives_empty_outputs_and_zero_gradients(name: str) -> None:
    layer = LAYERS[name].make(generator=seeded())
    full, empty = tensors(layer(batch_of(name, 0.5, 5))), tensors(layer(batch_of(name, 0.5, 0)))
    for one, other in zip(full, empty, strict=True):
        assert other.shape == tuple(0 if size == 5 else size for size in one.shape)
    sum(output.sum() for output in empty).backward()
    assert all(not p.grad.any() for p in layer.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_series_of_no_steps_keeps_the_start_and_packed_nan_is_refused(name: str) -> None:
    layer = LAYERS[name].make(generator=seeded())
    outputs, *states = tensors(layer(torch.zeros(2, 0, FEATURES)))
    assert outputs.shape[:2] == (2, 0)
    assert all(not state.any() for state in states)
    packed = pack_sequence([torch.full((2, FEATURES), math.nan), torch.zeros(1, FEATURES)])
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        layer(packed)
