"""Recurrent QKAN layers and the QLSTM: the contract of nn.LSTM, and steps against cells."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from qml.nn import HQKANLSTM, QKANGRU, QKANLSTM, QLSTM, HQKANLSTMCell, QKANGRUCell, QKANLayer, QKANLSTMCell
from tests.helpers import assert_close

SAME = 1e-12  # float64 algebra
LAYERS = {
    "lstm": lambda **options: QKANLSTM(2, 3, dtype=torch.float64, generator=seeded(), **options),
    "fixed": lambda **options: QKANLSTM(
        2, 3, dtype=torch.float64, train_preactivation=False, generator=seeded(), **options
    ),
    "hybrid": lambda **options: HQKANLSTM(2, 3, dtype=torch.float64, generator=seeded(), **options),
    "gru": lambda **options: QKANGRU(2, 3, dtype=torch.float64, generator=seeded(), **options),
    "qlstm": lambda **options: QLSTM(2, 2, n_circuit_layers=1, dtype=torch.float64, generator=seeded(), **options),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def series(time: int = 5, batch: int = 4) -> Tensor:
    return torch.randn(time, batch, 2, dtype=torch.float64, generator=seeded(1))


def parts(state: Any) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else tuple(state)


@pytest.mark.parametrize("name", list(LAYERS))
def test_shapes_are_those_of_torchs_layers(name: str) -> None:
    twin = (nn.GRU if name == "gru" else nn.LSTM)(
        2, 2 if name == "qlstm" else 3, num_layers=2, bidirectional=True, batch_first=True
    ).double()
    layer = LAYERS[name](num_layers=2, bidirectional=True, batch_first=True)
    for inputs in (torch.rand(4, 5, 2).double(), torch.rand(5, 2).double(), torch.rand(0, 5, 2).double()):
        outputs, state = layer(inputs)
        expected, twin_state = twin(inputs) if len(inputs) else (outputs[:0], None)
        assert outputs.shape == expected.shape
        if twin_state is not None:
            assert [part.shape for part in parts(state)] == [part.shape for part in parts(twin_state)]


@pytest.mark.parametrize("name", ["lstm", "fixed", "hybrid", "gru"])
def test_a_layer_is_its_cell_step_by_step(name: str) -> None:
    layer, inputs = LAYERS[name](), series()
    cell: Any = layer.cells[0]
    state: Any = None
    expected = []
    for step in inputs:
        state = cell(step, state)
        expected.append(parts(state)[0])
    outputs, last = layer(inputs)
    assert_close(outputs, torch.stack(expected), SAME)
    for one, other in zip(parts(last), parts(state), strict=True):
        assert_close(one[0], other, SAME)


def test_a_cell_has_the_formulas_of_the_paper() -> None:
    cell = QKANLSTMCell(2, 3, dtype=torch.float64, generator=seeded())
    x, h, c = (torch.randn(5, size, dtype=torch.float64, generator=seeded(size)).tanh() for size in (2, 3, 3))
    i, f, g, o = (cell.input_layer(x) + cell.hidden_layer(h)).chunk(4, 1)
    expected = f.sigmoid() * c + i.sigmoid() * g.tanh()
    new_h, new_c = cell(x, (h, c))
    assert_close(new_c, expected, SAME)
    assert_close(new_h, o.sigmoid() * expected.tanh(), SAME)
    one_h, one_c = cell(x[0], (h[0], c[0]))
    assert_close(one_h, new_h[0], SAME)
    assert_close(one_c, new_c[0], SAME)
    gru = QKANGRUCell(2, 3, dtype=torch.float64, generator=seeded())
    (xr, xz, xn), (hr, hz, hn) = gru.input_layer(x).chunk(3, 1), gru.hidden_layer(h).chunk(3, 1)
    update = (xz + hz).sigmoid()
    assert_close(gru(x, h), (1 - update) * (xn + (xr + hr).sigmoid() * hn).tanh() + update * h, SAME)


@pytest.mark.parametrize("batch", [2, 12])
def test_activations_of_arccosines_are_those_of_the_layers_in_cells_too(batch: int) -> None:
    options = {"ansatz": "px", "train_preactivation": False, "dtype": torch.float64, "generator": seeded()}
    h, c, x = (torch.rand(batch, 2, dtype=torch.float64, generator=seeded(k)) - 0.5 for k in range(3))
    cell, hybrid, gru = QKANLSTMCell(2, 2, **options), HQKANLSTMCell(2, 2, **options), QKANGRUCell(2, 2, **options)
    for found, gates in (
        (cell(x, (h, c)), cell.input_layer(x) + cell.hidden_layer(h)),
        (hybrid(x, (h, c)), torch.cat([gate(torch.cat([h, x], 1)) for gate in hybrid.gates], 1)),
    ):
        i, f, g, o = gates.chunk(4, 1)
        expected = f.sigmoid() * c + i.sigmoid() * g.tanh()
        assert_close(found[1], expected, SAME)
        assert_close(found[0], o.sigmoid() * expected.tanh(), SAME)
    (xr, xz, xn), (hr, hz, hn) = gru.input_layer(x).chunk(3, 1), gru.hidden_layer(h).chunk(3, 1)
    update = (xz + hz).sigmoid()
    assert_close(gru(x, h), (1 - update) * (xn + (xr + hr).sigmoid() * hn).tanh() + update * h, SAME)
    assert cell.hidden_layer.series_on(-1.0, 1.0, most=100) is None


def test_without_circuits_the_layer_is_an_nn_lstm() -> None:
    """With activations cos(0) = 1, turned off by v = 0, and the identity as base, each map is affine."""
    layer = QKANLSTM(2, 3, num_layers=2, bidirectional=True, base="identity", dtype=torch.float64, generator=seeded())
    twin = nn.LSTM(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for index, cell in enumerate(layer.cells):
            suffix = f"_l{index // 2}" + ("_reverse" if index % 2 else "")
            for name, kind in (("input_layer", "ih"), ("hidden_layer", "hh")):
                part = getattr(cell, name)
                part.output_weight.zero_()
                part.base_weight.copy_(getattr(twin, f"weight_{kind}{suffix}"))
                getattr(twin, f"bias_{kind}{suffix}").zero_()
    state = tuple(torch.randn(4, 4, 3, dtype=torch.float64, generator=seeded(k)) for k in (3, 4))
    for found, expected in zip(layer(series(), state), twin(series(), state), strict=True):
        for one, other in zip(parts(found), parts(expected), strict=True):
            assert_close(one, other, SAME)


@pytest.mark.parametrize("name", list(LAYERS))
def test_packed_sequences_are_each_sequence_alone(name: str) -> None:
    layer, inputs, lengths = LAYERS[name](bidirectional=True, num_layers=2), series(), torch.tensor([3, 5, 1, 4])
    packed, last = layer(pack_padded_sequence(inputs, lengths, enforce_sorted=False))
    outputs, found = pad_packed_sequence(packed)
    assert found.tolist() == lengths.tolist()
    for index, length in enumerate(lengths.tolist()):
        alone, state = layer(inputs[:length, index])
        assert_close(outputs[:length, index], alone, SAME)
        for one, other in zip(parts(last), parts(state), strict=True):
            assert_close(one[:, index], other, SAME)
    order = lengths.argsort(descending=True)
    in_order, _ = layer(pack_padded_sequence(inputs[:, order], lengths[order]))
    assert in_order.sorted_indices is None
    assert_close(in_order.data, packed.data, SAME)


@pytest.mark.parametrize("options", [{}, {"train_preactivation": False}, {"base": None}, {"proj_size": 2}])
def test_derivatives_of_a_sequence_are_right_to_second_order(options: dict[str, Any]) -> None:
    layer = QKANLSTM(1, 3, reps=1, dtype=torch.float64, generator=seeded(), **options)
    names = [name for name, _ in layer.named_parameters()]
    h_size = layer.proj_size or 3

    def call(x: Tensor, h: Tensor, c: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        outputs, (_, last) = functional_call(layer, dict(zip(names, values, strict=True)), (x, (h, c)))
        return outputs, last

    leaves = [torch.randn(3, 8, 1, dtype=torch.float64, generator=seeded(1)) * 0.7]
    leaves += [torch.randn(1, 8, size, dtype=torch.float64, generator=seeded(size)).tanh() for size in (h_size, 3)]
    leaves = [leaf.requires_grad_() for leaf in (*leaves, *(p.detach().clone() for p in layer.parameters()))]
    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


def test_a_start_beyond_one_is_inside_the_series() -> None:
    layer, inputs = LAYERS["lstm"](), series()
    state = tuple(torch.full((1, 4, 3), 5.0, dtype=torch.float64) for _ in range(2))
    expected, cell_state = [], tuple(part[0] for part in state)
    for step in inputs:
        cell_state = layer.cells[0](step, cell_state)
        expected.append(cell_state[0])
    assert_close(layer(inputs, state)[0], torch.stack(expected), SAME)


def test_dropout_acts_between_layers_in_training_only() -> None:
    layer, inputs = LAYERS["lstm"](num_layers=2, dropout=0.5), series()
    torch.manual_seed(0)
    noisy = layer(inputs)[0]
    layer.eval()
    assert not torch.equal(noisy, layer(inputs)[0])
    assert_close(layer(inputs)[0], layer(inputs)[0], 0)


def test_copies_give_the_same_numbers_and_parameters_count_as_they_should() -> None:
    layer, inputs = LAYERS["lstm"](), series()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_close(twin(inputs)[0], layer(inputs)[0], 0)
    edges = (2 + 3) * 12
    assert sum(p.numel() for p in layer.parameters()) == edges * (8 + 6 + 2 + 1)  # theta; w, b; v, c; u
    assert sum(p.numel() for p in QLSTM(1, 5).parameters()) == 120  # papers.md: 126 with the read-out


def test_bad_arguments_are_refused() -> None:
    for name, options in (
        ("hidden_size", {"hidden_size": 0}),
        ("input_size", {"input_size": 0}),
        ("num_layers", {"num_layers": 0}),
        ("dropout", {"dropout": 1.1, "num_layers": 2}),
        ("dropout", {"dropout": 0.5}),
        ("proj_size", {"proj_size": 3}),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must"):
            QKANLSTM(**({"input_size": 2, "hidden_size": 3} | options))
    with pytest.raises(ValueError, match="`proj_size` must be less"):
        HQKANLSTMCell(2, 3, proj_size=4)
    layer = LAYERS["lstm"]()
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 2\)"):
        layer(torch.zeros(3, 4, 5).double())
    with pytest.raises(ValueError, match="2 \\(one sequence\\) or 3 dimensions"):
        layer(torch.zeros(1, 3, 4, 2).double())
    with pytest.raises(ValueError, match=r"`state` must have shape \(1, 4, 3\), but has shape \(1, 5, 3\)"):
        layer(series(), (torch.zeros(1, 5, 3).double(), torch.zeros(1, 4, 3).double()))
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        layer(series() * torch.nan)
    assert isinstance(layer.cells[0].input_layer, QKANLayer)
