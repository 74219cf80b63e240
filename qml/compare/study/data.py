"""A data set of the study, cut as its protocol cuts it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from qml.data import benchmark_set

N_FOLDS = 5
Inputs = Float[np.ndarray, "batch inputs"]
Labels = Float[np.ndarray, " batch"]


@dataclass(frozen=True)
class Part:
    """Samples to fit on and samples to score on.

    Attributes:
        fit_inputs: Samples that a model is fitted to.
        fit_labels: Their labels, -1 and +1.
        score_inputs: Samples that its accuracy is measured on.
        score_labels: Their labels.
        memo: Kernel matrices and features that candidates of one grid share.
    """

    fit_inputs: Inputs
    fit_labels: Labels
    score_inputs: Float[np.ndarray, "others inputs"]
    score_labels: Float[np.ndarray, " others"]
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def n_features(self) -> int:
        """Return the number of features."""
        return self.fit_inputs.shape[1]


@dataclass(frozen=True)
class StudySet:
    """A data set with the folds of its training samples.

    Attributes:
        family: The family of data sets.
        parameter: Its place in the family's sweep.
        whole: All training samples, and the test samples.
        folds: Five parts of the training samples alone.
    """

    family: str
    parameter: int
    whole: Part
    folds: tuple[Part, ...]


def study_set(family: str, parameter: int, mnist: Path | str | None = None) -> StudySet:
    """Return a data set and its five folds: stratified and not shuffled, as scikit-learn cuts by default.

    Args:
        family: The family of data sets.
        parameter: Its place in the family's sweep.
        mnist: The folder with the files of MNIST, for its families.

    Raises:
        ValueError: If there is no such family, it has no such parameter, or a fold would lack a class.
        FileNotFoundError: If the folder or a file of MNIST is missing.
    """
    from sklearn.model_selection import StratifiedKFold

    made = benchmark_set(family, parameter, folder=mnist)
    inputs, labels = made.train.inputs.numpy(), made.train.labels.numpy()
    fewest = min((labels < 0).sum(), (labels > 0).sum())
    if fewest < N_FOLDS:
        raise ValueError(
            f"Argument `mnist` must hold at least {N_FOLDS} training images of each digit, one a fold, but {family} "
            f"{parameter} has {fewest} of one."
        )
    whole = Part(inputs, labels, made.test.inputs.numpy(), made.test.labels.numpy())
    folds = tuple(
        Part(inputs[fit], labels[fit], inputs[score], labels[score])
        for fit, score in StratifiedKFold(N_FOLDS).split(inputs, labels)
    )
    return StudySet(family, parameter, whole, folds)
