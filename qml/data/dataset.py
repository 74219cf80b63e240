"""Inputs with their labels, and the three parts that a comparison needs."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from qml import checks


@dataclass(frozen=True)
class Dataset:
    """A set of samples, which lie along the first dimension and have one label of -1 or +1 each.

    Attributes:
        inputs: Features or amplitudes, one row a sample.
        labels: -1.0 or +1.0, one a sample.
    """

    inputs: Shaped[Tensor, "batch inputs"]
    labels: Shaped[Tensor, " _"]  # its length is compared below

    def __post_init__(self) -> None:
        checks.require_tensor(self.inputs, "inputs")
        checks.require_tensor(self.labels, "labels")
        if self.inputs.ndim < 1 or self.labels.ndim != 1:
            raise ValueError(
                f"Arguments `inputs` and `labels` must have shapes (batch, inputs) and (batch,), but have "
                f"{tuple(self.inputs.shape)} and {tuple(self.labels.shape)}."
            )
        if len(self.inputs) != len(self.labels):
            raise ValueError(
                f"Argument `labels` must hold one label a sample, but holds {len(self.labels)} for "
                f"{len(self.inputs)} samples. Pass as many labels as inputs."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Int[Tensor, " batch"] | Bool[Tensor, " batch"] | slice) -> "Dataset":
        return Dataset(self.inputs[index], self.labels[index])


@dataclass(frozen=True)
class BenchmarkSet:
    """Samples of one benchmark, cut into the published training and test sets.

    Attributes:
        train: Samples that models are trained and chosen on, float64.
        test: Samples that are looked at once.
    """

    train: Dataset
    test: Dataset


@dataclass(frozen=True)
class Split:
    """A data set that was split into three disjoint parts.

    Attributes:
        train: What gradients are taken on.
        validation: What settings and the stopping epoch are chosen on.
        test: What is looked at once, at the end.
    """

    train: Dataset
    validation: Dataset
    test: Dataset


def split_dataset(data: Dataset, *, seed: int, test: float = 0.2, validation: float = 0.2) -> Split:
    """Cut `data` into three parts at random, each with the same share of either label.

    Args:
        data: What to cut.
        seed: The same seed gives the same parts.
        test: Share of all samples that is kept for the test, in (0, 1).
        validation: Share of the remaining samples that settings are chosen on, in (0, 1).

    Raises:
        ValueError: If a share is outside (0, 1), or a label has too few samples to be in every part.
    """
    if not isinstance(data, Dataset):
        raise TypeError(f"Argument `data` must be a Dataset, but is {type(data).__name__}.")
    _require_share(test, "test")
    _require_share(validation, "validation")
    if not bool((data.labels.abs() == 1).all()):
        raise ValueError("Argument `data` must have labels -1 and +1, but has others, which would be in no part.")
    seed = checks.as_int(seed, "seed", -(2**63))
    generator = torch.Generator().manual_seed(seed)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label in (-1.0, 1.0):
        members = torch.nonzero(data.labels == label).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        n_test = round(test * len(members))
        n_validation = round(validation * (len(members) - n_test))
        sizes = [len(members) - n_test - n_validation, n_validation, n_test]
        if min(sizes) < 1:
            raise ValueError(
                f"Argument `data` must hold enough samples of label {label:+.0f} for three parts, but holds "
                f"{len(members)}. Pass more samples or other shares."
            )
        for part, chosen in zip(parts, members.split(sizes), strict=True):
            part.append(chosen)
    train, held_out, tested = (data[torch.cat(part)] for part in parts)
    return Split(train, held_out, tested)


def _require_share(share: float, name: str) -> None:
    if not 0.0 < checks.as_number(share, name) < 1.0:
        raise ValueError(f"Argument `{name}` must be a share in (0, 1), but is {share}. Pass for example 0.2.")
