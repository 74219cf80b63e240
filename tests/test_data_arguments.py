"""Arguments of the data sets: NumPy numbers are taken, and what is of the wrong kind is refused by name."""

from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from qml import data
from qml.data.text import Text
from tests.helpers import assert_close

REFUSED = (TypeError, ValueError, TypeCheckError)
NAN = float("nan")
GENERATOR = torch.Generator()
IMAGES = torch.zeros(2, 784)

CALLS: dict[str, list[Any]] = {
    "n_steps": [
        data.narma10,
        data.mackey_glass,
        data.lorenz,
        data.henon,
    ],
    "washout": [
        lambda v: data.mackey_glass(2, washout=v),
        lambda v: data.lorenz(2, washout=v),
        lambda v: data.henon(2, washout=v),
    ],
    "seed": [
        lambda v: data.narma10(3, seed=v),
        lambda v: data.damped_waves(seed=v),
        lambda v: data.random_subset(3, 2, seed=v),
        lambda v: data.corrosion(seed=v),
    ],
    "step_hours": [lambda v: data.corrosion(step_hours=v)],
    "length": [
        lambda v: data.split_series(torch.rand(30), length=v),
        lambda v: data.sentences(GENERATOR, length=v),
        lambda v: data.elman_xor(GENERATOR, length=v),
        lambda v: data.elman_letters(GENERATOR, length=v),
        lambda v: data.dna(GENERATOR, length=v),
    ],
    "batch": [lambda v: data.elman_xor(GENERATOR, batch=v), lambda v: data.dna(GENERATOR, batch=v)],
    "n_points": [data.damped_pendulum, data.bessel_series],
    "n_bits": [
        data.all_strings,
        lambda v: data.random_subset(v, 2, seed=0),
        lambda v: data.bit_planes(torch.rand(3, 2), torch.zeros(2), torch.ones(2), n_bits=v),
    ],
    "size": [lambda v: data.random_subset(3, v, seed=0)],
    "n_qubits": [lambda v: data.random_states(2, v), data.hidden_axes],
    "n_states": [lambda v: data.random_states(v, 2)],
    "side": [lambda v: data.pixel_words(IMAGES, side=v)],
    "resolution": [lambda v: data.downsample(IMAGES, v)],
    "n_characters": [data.python_text],
    "square": [lambda v: data.milan_activity("nowhere", v)],
}
INTEGERS = [(name, place) for name, calls in CALLS.items() for place in range(len(calls))]


@pytest.mark.parametrize(("name", "place"), INTEGERS)
@pytest.mark.parametrize("value", ["4", 4.0, True, -(2**70), [4], torch.ones(2)], ids=str)
def test_what_is_no_whole_number_is_refused_by_name(name: str, place: int, value: Any) -> None:
    with pytest.raises(REFUSED, match=name):
        CALLS[name][place](value)


@pytest.mark.parametrize(("name", "place"), [(n, p) for n, p in INTEGERS if n not in ("square", "step_hours")])
def test_whole_numbers_of_numpy_are_taken(name: str, place: int) -> None:
    if (name, place) in (("n_bits", 1), ("seed", 3)):
        return
    value = 2 if name in ("size", "n_qubits", "n_bits", "resolution") else 4
    try:
        assert CALLS[name][place](np.int64(value)) is not None
    except TypeCheckError:
        pytest.skip("annotations are checked before NumPy's numbers are taken")


@pytest.mark.parametrize("value", ["0.1", NAN, float("inf"), True, None, [0.1], 1j])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda v: data.mackey_glass(3, tau=v), "tau"),
        (lambda v: data.mackey_glass(3, time_step=v), "time_step"),
        (lambda v: data.mackey_glass(3, start=v), "start"),
        (lambda v: data.lorenz(3, time_step=v), "time_step"),
        (lambda v: data.corrosion(noise=v), "noise"),
        (lambda v: data.aluminium_rate(np.ones(2), np.ones(2), sulphur=v), "sulphur"),
        (lambda v: data.aluminium_rate(np.ones(2), np.ones(2), chloride=v), "chloride"),
        (lambda v: data.split_series(torch.rand(30), train=v), "train"),
        (lambda v: data.damped_pendulum(9, v), "end"),
        (lambda v: data.bessel_series(9, v), "start"),
        (lambda v: data.binarise(IMAGES, v), "threshold"),
        (lambda v: data.pixel_words(IMAGES, threshold=v), "threshold"),
        (lambda v: data.split_dataset(labelled(), seed=0, test=v), "test"),
        (lambda v: data.split_dataset(labelled(), seed=0, validation=v), "validation"),
    ],
)
def test_what_is_no_number_is_refused_by_name(call: Any, name: str, value: Any) -> None:
    with pytest.raises(REFUSED, match=name):
        call(value)


def labelled() -> data.Dataset:
    return data.Dataset(torch.rand(40, 2), torch.tensor([-1.0, 1.0]).repeat(20))


@pytest.mark.parametrize(
    "value", [[0.5], np.ones(5), None, "x", 3, torch.ones(5, dtype=torch.complex64), torch.full((5,), NAN)], ids=repr
)
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (data.split_series, "series"),
        (data.single_spins, "states"),
        (lambda v: data.spin_projection(torch.ones(1, 2), v), "axes"),
        (lambda v: data.downsample(v, 4), "images"),
        (data.pixel_words, "images"),
        (lambda v: data.bit_planes(v, torch.zeros(2), torch.ones(2)), "features"),
        (lambda v: data.subset_parity(v, (0,)), "bits"),
        (lambda v: data.subset_majority(v, (0,)), "bits"),
        (lambda v: data.split_dataset(v, seed=0), "data"),
    ],
)
def test_what_is_no_tensor_of_that_form_is_refused_by_name(call: Any, name: str, value: Any) -> None:
    with pytest.raises(REFUSED, match=name):
        call(value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.subset_parity(torch.zeros(1, 3), (3,)), "`subset` must hold different places in 0..2"),
        (lambda: data.subset_parity(torch.zeros(1, 3), (1, 1)), "`subset` must hold different places"),
        (lambda: data.subset_majority(torch.zeros(1, 3), (-1,)), "subset"),
        (lambda: data.subset_parity(torch.zeros(1, 3), 1), r"subset.*Pass \[1\]|subset"),
        (lambda: data.bit_planes(torch.ones(1, 1), torch.ones(1), torch.ones(1)), "`high` must be above `low`"),
        (lambda: data.bit_planes(torch.ones(1, 1), torch.zeros(1), torch.ones(1), n_bits=63), "at most 62"),
        (lambda: data.bit_planes(torch.full((1, 1), NAN), torch.zeros(1), torch.ones(1)), "`features` must be finite"),
        (lambda: data.aluminium_rate([NAN], [1.0]), "`temperature` must be finite"),
        (lambda: data.aluminium_rate([1.0, 2.0], [1.0]), "`humidity` must have the shape of `temperature`"),
        (lambda: data.aluminium_rate(["a"], [1.0]), "`temperature` must be an array of real numbers"),
        (lambda: data.mackey_glass(3, tau=0.05), "`tau` must be at least a tenth of the time step"),
        (lambda: data.lorenz(9, time_step=1.0), "`time_step` must be small enough for a bounded solution"),
        (lambda: data.load_images(np.array([1, 1])), "digits"),
        (lambda: data.load_images(3), "digits"),
        (lambda: data.load_digits(True, 3), "negative"),
        (lambda: Text.of(5), "text"),
        (lambda: Text.of("ab").decode(torch.tensor([-1])), "`codes` must lie in 0..1"),
        (lambda: Text.of("ab").decode(torch.tensor([0.5])), "codes"),
        (lambda: data.Dataset([1.0], torch.ones(1)), "inputs"),
        (lambda: data.split_dataset(data.Dataset(torch.rand(4, 1), torch.tensor([0.0, 1, 0, 1])), seed=0), "labels -1"),
        (lambda: data.split_dataset(labelled(), seed="0"), "seed"),
    ],
)
def test_bad_values_are_refused_with_words(call: Any, message: str) -> None:
    with pytest.raises(REFUSED, match=message):
        call()


def test_lists_and_real_amplitudes_give_what_arrays_and_complex_ones_give() -> None:
    assert_close(
        data.aluminium_rate([10.0, 20.0], [80, 70]), data.aluminium_rate(np.array([10.0, 20]), np.array([80.0, 70])), 0
    )
    real = torch.tensor([[0.6, 0.8]])
    assert_close(data.single_spins(real)[0, 0], [0.96, 0.0, -0.28], 1e-6)  # 2ab, 0, a^2 - b^2 in float32
