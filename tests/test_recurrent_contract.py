"""QKANLSTM, HQKANLSTM, QKANGRU and QLSTM beside nn.LSTM and nn.GRU: the same calls, answers and misuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, unpack_sequence

from qml.nn import HQKANLSTM, QKANGRU, QKANLSTM, QLSTM, HQKANLSTMCell, QKANGRUCell, QKANLSTMCell
from tests.helpers import assert_close

SAME = 1e-12  # float64 algebra
REFUSED = (TypeError, ValueError, TypeCheckError)
LAYERS: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (QKANLSTM, HQKANLSTM, QKANGRU, QLSTM)}
CELLS: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (QKANLSTMCell, HQKANLSTMCell, QKANGRUCell)}
every_layer = pytest.mark.parametrize("name", list(LAYERS))
every_cell = pytest.mark.parametrize("name", list(CELLS))


def named(argument: str) -> str:
    """The name in an error of ours or of the tests' type checks."""
    return f"[`']{argument}[`']"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, *arguments: Any, **options: Any) -> Any:
    """A layer from 2 to 3 features, with small circuits."""
    small = {"n_circuit_layers": 1} if name == "QLSTM" else {"reps": 1}
    return LAYERS[name](2, 3, *arguments, **({"dtype": torch.float64, "generator": seeded()} | small | options))


def make_cell(name: str, **options: Any) -> Any:
    return CELLS[name](2, 3, **({"dtype": torch.float64, "generator": seeded(), "reps": 1} | options))


def torchs(name: str) -> type[nn.LSTM] | type[nn.GRU]:
    return nn.GRU if name == "QKANGRU" else nn.LSTM


def series(time: int = 5, batch: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(time, batch, 2, dtype=torch.float64, generator=seeded(1)).to(dtype)


def parts(state: Any) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else tuple(state)


def mapped(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return change(state) if isinstance(state, Tensor) else tuple(change(part) for part in state)


def as_given(name: str, *tensors: Any) -> Any:
    """The first tensor for a GRU, all for an LSTM."""
    return tensors[0] if "GRU" in name else tensors


def state_of(name: str, layers: int = 1, batch: int = 4, dtype: torch.dtype = torch.float64) -> Any:
    return as_given(
        name, *(torch.randn(layers, batch, 3, dtype=torch.float64, generator=seeded(k)).to(dtype) for k in (3, 4))
    )


def affine_twins(name: str, **options: Any) -> tuple[nn.Module, nn.Module]:
    """A QKAN layer whose circuits are turned off, with the identity as base, and torch's layer with those weights."""
    layer = make(name, 2, bidirectional=True, base="identity", **options)
    twin = torchs(name)(2, 3, 2, bidirectional=True, dtype=torch.float64, **options)
    with torch.no_grad():
        for index, cell in enumerate(layer.cells):
            suffix = f"_l{index // 2}" + ("_reverse" if index % 2 else "")
            for part, kind in ((cell.input_layer, "ih"), (cell.hidden_layer, "hh")):
                part.output_weight.zero_()
                part.base_weight.copy_(getattr(twin, f"weight_{kind}{suffix}"))
                getattr(twin, f"bias_{kind}{suffix}").zero_()
            if cell_projection := getattr(cell, "projection", None):
                cell_projection.weight.copy_(getattr(twin, f"weight_hr{suffix}"))
    return layer, twin


def packed_cases() -> dict[str, PackedSequence]:
    inputs, lengths = series(5, 4), torch.tensor([3, 5, 1, 5])
    alone = [inputs[:length, index] for index, length in enumerate(lengths.tolist())]
    order = torch.tensor([3, 1, 0, 2])  # of two equally long sequences the later one first
    descending = pack_sequence([alone[index] for index in order])
    data, sizes = descending.data, descending.batch_sizes
    inverse = order.argsort()
    return {
        "unsorted": pack_padded_sequence(inputs, lengths, enforce_sorted=False),
        "unsorted, batch first": pack_padded_sequence(inputs.transpose(0, 1), lengths, True, False),
        "sorted": descending,
        "ties in another order": PackedSequence(data, sizes, order),
        "both indices": PackedSequence(data, sizes, order, inverse),
        "indices back alone": PackedSequence(data, sizes, None, inverse),
        "other indices back": PackedSequence(data, sizes, order, order),
        "one sequence": pack_sequence([alone[1]]),
        "one step each": pack_sequence([sequence[:1] for sequence in alone]),
        "a last step of nobody": PackedSequence(data, torch.cat([sizes, torch.tensor([0])]), order),
    }


@pytest.mark.parametrize("case", list(packed_cases()))
@pytest.mark.parametrize("name", ["QKANLSTM", "QKANGRU"])
@pytest.mark.parametrize("with_state", [False, True])
def test_packed_sequences_flow_as_through_torchs_layers(name: str, case: str, with_state: bool) -> None:
    packed = packed_cases()[case]
    layer, twin = affine_twins(name)
    state = state_of(name, 4, int(packed.batch_sizes[0])) if with_state else None
    found, last = layer(packed, state)
    if case == "a last step of nobody":  # torch's own layer reads memory that is not there
        packed = PackedSequence(packed.data, packed.batch_sizes[:-1], packed.sorted_indices)
        found = found._replace(batch_sizes=found.batch_sizes[:-1])
    expected, expected_last = twin(packed, state)
    assert_close(found.data, expected.data, SAME)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or torch.equal(one, other)
    for one, other in zip(parts(last), parts(expected_last), strict=True):
        assert_close(one, other, SAME)


def test_packed_sequences_with_a_projection_flow_as_through_nn_lstm() -> None:
    layer, twin = affine_twins("QKANLSTM", proj_size=2)
    packed = packed_cases()["ties in another order"]
    h, c = (torch.randn(4, 4, size, dtype=torch.float64, generator=seeded(size)) for size in (2, 3))
    for found, expected in zip(layer(packed, (h, c)), twin(packed, (h, c)), strict=True):
        for one, other in zip(parts(found)[:2], parts(expected)[:2], strict=True):
            assert_close(one, other, SAME)


@every_layer
def test_a_packed_sequence_keeps_its_own_order(name: str) -> None:
    packed, layer = packed_cases()["ties in another order"], make(name)
    outputs, last = layer(packed)
    lengths = [3, 5, 1, 5]
    again = unpack_sequence(PackedSequence(outputs.data, packed.batch_sizes, packed.sorted_indices))
    for index, length in enumerate(lengths):
        alone, state = layer(series()[:length, index])
        assert_close(again[index], alone, SAME)
        for one, other in zip(parts(last), parts(state), strict=True):
            assert_close(one[:, index], other, SAME)


@pytest.mark.parametrize(
    ("data", "sizes", "indices"),
    [
        ((0, 2), torch.zeros(0, dtype=torch.long), None),
        ((3, 2), torch.tensor([1, 2]), None),
        ((3, 2), torch.tensor([2]), None),
        ((3, 2), torch.tensor([2, 2]), None),
        ((3, 2), torch.tensor([4, -1]), None),
        ((3, 2), torch.tensor([2, 1], dtype=torch.int32), None),
        ((3, 2), torch.tensor([[2, 1]]), None),
        ((3, 2), torch.tensor([2, 1]), torch.tensor([0, 1, 2])),
        ((3, 2), torch.tensor([2, 1]), torch.tensor([1, 1])),
        ((3, 1, 2), torch.tensor([2, 1]), None),
        ((3, 5), torch.tensor([2, 1]), None),
    ],
)
def test_packed_sequences_that_are_none_are_refused(
    data: tuple[int, ...], sizes: Tensor, indices: Tensor | None
) -> None:
    packed = PackedSequence(torch.zeros(data).double(), sizes, None if indices is None else indices, indices)
    with pytest.raises(REFUSED, match="Argument `inputs` must have"):
        make("QKANLSTM")(packed)


@every_layer
def test_the_odd_kinds_of_inputs_and_states_are_refused_by_name(name: str) -> None:
    layer, inputs, state = make(name), series(), state_of(name)
    sparse = inputs.to_sparse()
    odd = (
        inputs.tolist(),
        inputs.numpy(),
        None,
        3,
        "x",
        inputs.long(),
        inputs > 0,
        inputs.to(torch.complex64),
        inputs.float(),
    )
    for value in (
        *odd,
        inputs.bfloat16(),
        inputs.half(),
        inputs.to("meta"),
        sparse,
        [inputs],
        inputs[0, 0],
        inputs[0][:0, 0],
    ):
        with pytest.raises(REFUSED, match="inputs"):
            layer(value)
    for value in (inputs.float(), inputs.long(), inputs.to("meta"), inputs.to(torch.complex128)):
        with pytest.raises(REFUSED, match="Argument `inputs` must be"):
            layer(PackedSequence(value[0], torch.tensor([4])))
    first = parts(state)[0]
    for value in (
        first.tolist(), first.numpy(), 3, "x", {"h": first}, first.long(), first.float(), first.bfloat16(),
        first.to(torch.complex128), first.to("meta"), first.to_sparse(), first[:, :3], first[0], first[..., :2],
        first * torch.nan, None if "GRU" not in name else (first, first),
    ):  # fmt: skip
        given = value if isinstance(value, tuple | dict | str | int) else as_given(name, value, first)
        if given is None:
            continue
        with pytest.raises(REFUSED, match="state"):
            layer(inputs, given)
        with pytest.raises(REFUSED, match="state"):
            layer(inputs[:0], given)
    for value in (first, torch.stack([first] * 3), (first,), (first,) * 3, (None, first), (first, None), (first, 3)):
        if "GRU" not in name:
            with pytest.raises(REFUSED, match="state"):
                layer(inputs, value)
    answer = layer(inputs, list(state) if isinstance(state, tuple) else state)  # as torch's layers take them
    assert_close(answer[0], layer(inputs, state)[0], 0)


@every_cell
def test_the_odd_kinds_are_refused_by_cells(name: str) -> None:
    cell, x = make_cell(name), series()[0]
    h = torch.rand(4, 3, dtype=torch.float64)
    for value in (
        x.tolist(),
        x.numpy(),
        None,
        3,
        x.long(),
        x.float(),
        x.bfloat16(),
        x.to("meta"),
        x.to_sparse(),
        x[:, 0],
    ):
        with pytest.raises(REFUSED, match="inputs"):
            cell(value)
    for value in (h.tolist(), h.numpy(), 3, h.long(), h.float(), h.to("meta"), h.to_sparse(), h[:3], h * torch.inf):
        with pytest.raises(REFUSED, match="state"):
            cell(x, value if isinstance(value, int) else as_given(name, value, h))
    with pytest.raises(REFUSED, match="state"):
        cell(x, (h, h) if "GRU" in name else h)
    with pytest.raises(REFUSED, match="1 or 2 dimensions"):
        cell(series())


@every_layer
def test_the_misuse_that_torchs_layers_refuse_is_refused(name: str) -> None:
    """Each in torch's layer raises too; what is checked of ours is that the argument is named."""
    misuses: list[tuple[str, Callable[[Any], Any]]] = [
        ("inputs", lambda layer: layer(torch.zeros(5, 4, 7).double())),
        ("inputs", lambda layer: layer(torch.zeros(2).double())),
        ("inputs", lambda layer: layer(torch.zeros(1, 5, 4, 2).double())),
        ("inputs", lambda layer: layer(series().float())),
        ("state", lambda layer: layer(series(), state_of(name, batch=5))),
        ("state", lambda layer: layer(series(), state_of(name, layers=2))),
        ("state", lambda layer: layer(series()[:, 0], state_of(name))),
        ("state", lambda layer: layer(series(), mapped(state_of(name), lambda part: part[0]))),
        ("state", lambda layer: layer(series(), mapped(state_of(name), lambda part: part.mT))),
        ("state", lambda layer: layer(series(), state_of(name, dtype=torch.float32))),
    ]
    layer, twin = make(name), torchs(name)(2, 3, dtype=torch.float64)
    for argument, misuse in misuses:
        with pytest.raises((ValueError, RuntimeError)):
            misuse(twin)
        with pytest.raises(REFUSED, match=argument):
            misuse(layer)


@every_layer
def test_arguments_that_torchs_layers_refuse_are_refused_by_name(name: str) -> None:
    for options in (
        {"dropout": True, "num_layers": 2},
        {"dropout": "0.1", "num_layers": 2},
        {"dropout": float("nan"), "num_layers": 2},
        {"dropout": -0.1, "num_layers": 2},
        {"dropout": 1.1, "num_layers": 2},
        {"bias": None},
        {"bias": "no"},
        {"batch_first": "no"},
        {"num_layers": 0},
        {"num_layers": 1.0},
        {"proj_size": -1},
        {"proj_size": 3},
    ):
        argument = next(iter(options))
        with pytest.raises((TypeError, ValueError)):
            nn.LSTM(2, 3, **options)
        with pytest.raises(REFUSED, match=named(argument)):
            make(name, **options)
    for options in ({"bias": False}, {"bidirectional": "no"}, {"num_layers": True}, {"dropout": 0.1}):
        with pytest.raises(REFUSED, match=named(next(iter(options)))):
            make(name, **options)
    if name in ("QKANGRU", "QLSTM"):
        with pytest.raises(ValueError, match="`proj_size` must be 0, but is 2"):
            make(name, proj_size=2)
    for bad in ({"bias": False}, {"bias": 1}):
        for cell in CELLS:
            with pytest.raises(REFUSED, match="bias"):
                make_cell(cell, **bad)


@every_layer
def test_programs_read_the_attributes_of_torchs_layers(name: str) -> None:
    projection = {"proj_size": 2} if "LSTM" in name and name != "QLSTM" else {}
    ours = make(name, 2, True, True, 0.5, True, **projection)  # in torch's order
    twin = torchs(name)(2, 3, 2, True, True, 0.5, True, **projection)
    for attribute in (
        "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size",
    ):  # fmt: skip
        found, expected = getattr(ours, attribute), getattr(twin, attribute)
        assert found == expected, attribute
        assert type(found) is type(expected), attribute
    assert ours.flatten_parameters() is None


@every_layer
def test_numbers_of_numpy_are_taken(name: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("jaxtyping_packages", None):
        pytest.skip("annotations say int and float, which NumPy's numbers are not")
    counted = make(name, np.int64(2), dropout=np.float32(0.5))
    assert (type(counted.num_layers), type(counted.dropout)) == (int, float)
    other = LAYERS[name](np.int64(2), np.int32(3), dtype=torch.float64)
    assert type(other.hidden_size) is int


@every_layer
def test_forward_takes_torchs_names_and_ours(name: str) -> None:
    layer, inputs, state = make(name), series(), state_of(name)
    expected = layer(inputs, state)[0]
    for found in (
        layer(input=inputs, hx=state),
        layer(inputs=inputs, state=state),
        layer(inputs, hx=state),
        layer(inputs, state=state),
    ):
        assert_close(found[0], expected, 0)
    with pytest.raises(TypeError, match="`input` must be left out where `inputs` is given"):
        layer(inputs, input=inputs)
    with pytest.raises(TypeError, match="`hx` must be left out where `state` is given"):
        layer(inputs, state, hx=state)


@every_cell
def test_cells_take_torchs_names_and_ours(name: str) -> None:
    cell, x, state = make_cell(name, bias=True), series()[0], as_given(name, *torch.rand(2, 4, 3).double())
    expected = parts(cell(x, state))
    for found in (cell(input=x, hx=state), cell(inputs=x, state=state), cell(x, hx=state)):
        for one, other in zip(parts(found), expected, strict=True):
            assert_close(one, other, 0)
    with pytest.raises(TypeError, match="`hx` must be left out"):
        cell(x, state, hx=state)
    assert cell.bias is True


@every_layer
def test_a_dropout_of_one_reads_zeros_in_the_next_layer(name: str) -> None:
    layer, inputs = make(name, 2, dropout=1.0), series()
    _, last = layer(inputs)
    torch.manual_seed(0)
    _, other = layer(series(5, 4) + 1.0)
    for one, two in zip(parts(last), parts(other), strict=True):
        assert_close(one[1], two[1], SAME)  # the second layer reads nothing of the inputs
        assert not torch.allclose(one[0], two[0])
    layer.eval()
    assert not torch.allclose(parts(layer(inputs)[1])[0][1], parts(last)[0][1])


@every_layer
def test_a_series_of_no_steps_has_the_layers_dtype_and_the_given_state(name: str) -> None:
    layer, state = make(name, bidirectional=True), state_of(name, 2)
    outputs, last = layer(series()[:0], state)
    assert (outputs.shape, outputs.dtype) == ((0, 4, 6), torch.float64)
    for one, other in zip(parts(last), parts(state), strict=True):
        assert_close(one, other, 0)
        assert one.data_ptr() != other.data_ptr()


@every_layer
def test_autocast_stays_outside_of_the_recurrence(name: str) -> None:
    layer = make(name, 2, bidirectional=True).float()
    inputs = series(dtype=torch.bfloat16)
    state = state_of(name, 4, dtype=torch.bfloat16)
    expected, last = layer(inputs.float(), mapped(state, Tensor.float))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for given in (state, mapped(state, Tensor.float)):
            found, found_last = layer(inputs, given)
            assert found.dtype == torch.float32
            assert_close(found, expected, 1e-6)  # float32, the same operations
            for one, other in zip(parts(found_last), parts(last), strict=True):
                assert_close(one, other, 1e-6)
        packed = PackedSequence(inputs.flatten(0, 1), torch.tensor([4] * 5))
        assert_close(layer(packed, state)[0].data, expected.flatten(0, 1), 1e-6)


@every_cell
def test_autocast_stays_outside_of_cells(name: str) -> None:
    projection = {} if "GRU" in name else {"proj_size": 2}
    cell, x = make_cell(name, dtype=torch.float32, **projection), series(dtype=torch.bfloat16)[0]
    sizes = (3,) if "GRU" in name else (2, 3)
    state = as_given(name, *(torch.rand(4, size).bfloat16() for size in sizes))
    expected = parts(cell(x.float(), mapped(state, Tensor.float)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one, other in zip(parts(cell(x, state)), expected, strict=True):
            assert one.dtype == torch.float32
            assert_close(one, other, 1e-6)


@every_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [2, 3000])
def test_layers_in_half_precision_are_refused_in_words(name: str, dtype: torch.dtype, batch: int) -> None:
    layer = make(name).to(dtype)
    inputs = torch.zeros(2, batch, 2, dtype=dtype)
    for given in (inputs, pack_padded_sequence(inputs, torch.full((batch,), 2))):
        with pytest.raises(TypeError, match="layer must be in float32 or float64"):
            layer(given)


@every_layer
def test_nan_in_a_parameter_is_refused_by_name(name: str) -> None:
    options = {} if name in ("QLSTM", "QKANGRU") else {"proj_size": 2}
    for parameter, _ in make(name, 2, **options).named_parameters():
        layer = make(name, 2, **options)
        dict(layer.named_parameters())[parameter].detach().view(-1)[-1] = torch.nan
        for inputs in (series(), series(3, 1), series(2, 300)):
            with pytest.raises(ValueError, match=f"`{parameter}` of .* must be finite"):
                layer(inputs)


@every_cell
@pytest.mark.parametrize("batch", [4, 100])
def test_nan_in_a_parameter_of_a_cell_is_refused_by_name(name: str, batch: int) -> None:
    options = {} if "GRU" in name else {"proj_size": 2}
    for parameter, _ in make_cell(name, **options).named_parameters():
        cell = make_cell(name, **options)
        dict(cell.named_parameters())[parameter].detach().view(-1)[-1] = torch.nan
        with pytest.raises(ValueError, match=rf"`([\w.]+\.)?{parameter.rpartition('.')[-1]}`.* must be finite"):
            cell(series(1, batch)[0])


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_scripts_and_traces_are_refused_in_words(name: str) -> None:
    layer = make(name) if name in LAYERS else make_cell(name)
    with pytest.raises(TypeError, match=r"must be exported by torch\.export"):
        torch.jit.trace(layer, (series() if name in LAYERS else series()[0],))
    with pytest.raises(TypeError, match=r"must be exported by torch\.export"):
        torch.jit.script(layer)


@every_layer
@pytest.mark.parametrize("how", ["to_empty", "assign"])
def test_layers_made_on_the_meta_device_take_weights(name: str, how: str) -> None:
    layer = make(name, 2)
    with torch.device("meta"):
        other = make(name, 2, generator=None)
    assert all(parameter.is_meta for parameter in other.parameters())
    outputs, state = other(series().to("meta"))
    assert outputs.is_meta
    expected, expected_state = layer(series())
    assert outputs.shape == expected.shape
    assert [part.shape for part in parts(state)] == [part.shape for part in parts(expected_state)]
    if how == "to_empty":
        other = other.to_empty(device="cpu")
    other.load_state_dict(layer.state_dict(), assign=how == "assign")
    assert_close(other(series())[0], expected, 0)


@every_layer
def test_parameters_are_drawn_anew(name: str) -> None:
    layer, expected = make(name, 2), make(name, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    layer.reset_parameters(seeded())
    again = make(name, 2)
    again.reset_parameters(seeded())
    for (parameter, one), two, first in zip(
        layer.named_parameters(), again.parameters(), expected.parameters(), strict=True
    ):
        assert_close(one, two, 0)
        assert one.shape == first.shape
        assert bool(one.any()) == bool(first.any()), parameter
