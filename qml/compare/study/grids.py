"""The models of the study and the grids that their hyperparameters are searched on: one table.

Parameters stand in alphabetical order, and candidates count as scikit-learn counts them: the last parameter fastest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from qml.checks import require_choice

Setting = Mapping[str, Any]

RATES = (0.001, 0.01, 0.1)
PENALTIES = (0.1, 1.0, 10.0, 100.0)
IMAGE_RATES = (0.0001, 0.001, 0.01)
LAYERS = (1, 5, 10, 15)
REUPLOADING = {"learning_rate": RATES, "n_layers": LAYERS, "observable_type": ("single", "half", "full")}
QNN, KERNEL, IMAGE = "qnn", "kernel", "image"


@dataclass(frozen=True)
class Entry:
    """A model of the study.

    Attributes:
        published: Its name in the study's files.
        family: `"qnn"`, `"kernel"` or `"image"`: the family whose normalised ranks it is part of.
        kind: "quantum" or "classical".
        grid: Values of each hyperparameter, by the study's names.
        recipe: Its description in words.
        is_control: Whether it is a control without entanglement, which the study keeps out of the ranks.
        outside: Settings that the study chose on some data sets though they are not in its grid.
    """

    published: str
    family: str
    kind: str
    grid: Mapping[str, tuple[Any, ...]]
    recipe: str
    is_control: bool = False
    outside: tuple[Setting, ...] = ()


ENTRIES: dict[str, Entry] = {
    "circuit-centric": Entry(
        "CircuitCentricClassifier", QNN, "quantum",
        {"learning_rate": RATES, "n_input_copies": (1, 2, 3), "n_layers": (1, 5, 10)},
        "amplitudes in some copies, strongly entangling layers",
        outside=tuple({"learning_rate": 0.01, "n_input_copies": n_copies, "n_layers": 4} for n_copies in (2, 1)),
    ),
    "re-uploading": Entry(
        "DataReuploadingClassifier", QNN, "quantum",
        REUPLOADING,
        "three features a qubit, uploaded in every layer with trained scales, CZ; weighted fidelity loss",
    ),
    "dressed": Entry(
        "DressedQuantumCircuitClassifier", QNN, "quantum",
        {"learning_rate": RATES, "n_layers": (1, 5, 10, 15)},
        "a circuit between two trained linear maps",
    ),
    "iqp": Entry(
        "IQPVariationalClassifier", QNN, "quantum",
        {"learning_rate": RATES, "n_layers": (1, 5, 10, 15), "repeats": (1, 5, 10)},
        "IQP embedding, strongly entangling layers with CZ",
    ),
    "metric": Entry(
        "QuantumMetricLearner", QNN, "quantum",
        {"learning_rate": RATES, "n_layers": (1, 3, 4)},
        "trained embedding; a sample's state is compared with examples of both classes",
    ),
    "boltzmann": Entry(
        "QuantumBoltzmannMachine", QNN, "quantum",
        {"learning_rate": RATES, "temperature": (1.0, 10.0, 100.0), "visible_qubits": ("single", "half", "full")},
        "thermal state of a Hamiltonian that is linear in the features",
    ),
    "tree": Entry(
        "TreeTensorClassifier", QNN, "quantum", {"learning_rate": RATES}, "amplitudes, binary tree of RY and CX"
    ),
    "mlp": Entry(
        "MLPClassifier", QNN, "classical",
        {
            "alpha": (0.01, 0.001, 0.0001),
            "hidden_layer_sizes": ((100,), (10, 10, 10, 10), (50, 10, 5)),
            "learning_rate_init": RATES,
        },
        "scikit-learn's multilayer perceptron, ReLU, Adam, at most 3000 epochs, raw features",
    ),
    "separable": Entry(
        "SeparableVariationalClassifier", QNN, "quantum",
        {"encoding_layers": (1, 3, 5, 10), "learning_rate": RATES},
        "a qubit a feature, uploaded several times, no entangling gate",
        is_control=True,
    ),
    "boltzmann-separable": Entry(
        "QuantumBoltzmannMachineSeparable", QNN, "quantum",
        {"learning_rate": RATES, "temperature": (1.0, 10.0, 100.0), "visible_qubits": ("single", "half", "full")},
        "the Boltzmann machine without couplings: a product of thermal states of one qubit",
        is_control=True,
    ),
    "re-uploading-no-scaling": Entry(
        "DataReuploadingClassifierNoScaling", QNN, "quantum", REUPLOADING,
        "re-uploading by rotations R(x + theta), without trained scales",
        is_control=True,
    ),
    "re-uploading-separable": Entry(
        "DataReuploadingClassifierSeparable", QNN, "quantum", REUPLOADING,
        "re-uploading by rotations R(w x + theta), no entangling gate",
        is_control=True,
    ),
    "re-uploading-no-embedding": Entry(
        "DataReuploadingClassifierNoTrainableEmbedding", QNN, "quantum", REUPLOADING,
        "re-uploading with all rotations of data before all trained ones",
        is_control=True,
    ),
    "re-uploading-no-cost": Entry(
        "DataReuploadingClassifierNoCost", QNN, "quantum",
        {"learning_rate": RATES, "n_layers": LAYERS},
        "re-uploading with a loss that is linear in the sum of <Z>",
        is_control=True,
    ),
    "dressed-separable": Entry(
        "DressedQuantumCircuitClassifierSeparable", QNN, "quantum",
        {"learning_rate": RATES, "n_layers": LAYERS},
        "the dressed circuit, no entangling gate",
        is_control=True,
    ),
    "iqp-kernel": Entry(
        "IQPKernelClassifier", KERNEL, "quantum",
        {"C": PENALTIES, "repeats": (1, 5, 10)},
        "support vector machine on the fidelity kernel of the IQP embedding",
    ),
    "projected-kernel": Entry(
        "ProjectedQuantumKernel", KERNEL, "quantum",
        {"C": PENALTIES, "gamma_factor": (0.1, 1.0, 10.0), "t": (0.01, 0.1, 1.0), "trotter_steps": (1, 3, 5)},
        "support vector machine on a Gaussian of expectation values after the evolution of a Heisenberg chain",
    ),
    "kitchen-sinks": Entry(
        "QuantumKitchenSinks", KERNEL, "quantum",
        {"n_episodes": (10, 100, 500, 2000), "n_qfeatures": ("full", "half")},
        "logistic regression on one shot each of random circuits",
    ),
    "svc": Entry(
        "SVC", KERNEL, "classical",
        {"C": PENALTIES, "gamma": (0.001, 0.01, 0.1, 1.0)},
        "scikit-learn's support vector machine with a Gaussian kernel, raw features",
    ),
    "separable-kernel": Entry(
        "SeparableKernelClassifier", KERNEL, "quantum",
        {"C": PENALTIES, "encoding_layers": (1, 3, 5, 10)},
        "support vector machine on the fidelity kernel of a product state",
        is_control=True,
    ),
    "quanvolutional": Entry(
        "QuanvolutionalNeuralNetwork", IMAGE, "quantum",
        {
            "kernel_shape": (2, 3, 5),
            "learning_rate": IMAGE_RATES,
            "n_qchannels": (1, 5, 10),
            "qkernel_shape": (2, 3),
        },
        "fixed random circuits over black and white windows, then the CNN",
    ),
    "weinet": Entry(
        "WeiNet", IMAGE, "quantum",
        {"filter_name": ("edge_detect", "smooth", "sharpen"), "learning_rate": IMAGE_RATES},
        "pixels as amplitudes, shifted; a linear model on Z and ZZ",
    ),
    "cnn": Entry(
        "ConvolutionalNeuralNetwork", IMAGE, "classical",
        {"kernel_shape": (2, 3, 5), "learning_rate": IMAGE_RATES},
        "two convolutions with 32 and 64 filters, 128 ReLU units",
    ),
}  # fmt: skip
"""Models by the names that the command line takes."""

ABLATED = {
    **{f"re-uploading-{part}": "re-uploading" for part in ("no-scaling", "separable", "no-embedding", "no-cost")},
    "dressed-separable": "dressed",
}
"""The model that an ablation is taken from, whose grid it has, or a part of it."""

PCA = ("mnist_pca", "digits_pca")
"""Families on which settings outside of a grid are offered."""

GROUPS = {
    "bars_and_stripes": (IMAGE,),
    **dict.fromkeys(PCA, (QNN,)),
    **{f"{source}_pca-": (KERNEL,) for source in ("mnist", "digits")},
    **{f"{source}_cg": (IMAGE,) for source in ("mnist", "digits")},
}
"""Families of models that the study runs on a family of data sets, where it is not the first two."""


def models_on(family: str) -> tuple[str, ...]:
    """Return the models that may run on a family of data sets."""
    groups = GROUPS.get(family, (QNN, KERNEL))
    return tuple(name for name, entry in ENTRIES.items() if entry.family in groups)


def candidates(model: str) -> tuple[Setting, ...]:
    """Return the settings of a model's grid, in the order in which equal scores are told apart.

    Raises:
        ValueError: If there is no such model.
    """
    require_choice(model, "model", tuple(ENTRIES))
    grid = ENTRIES[model].grid
    return tuple(dict(zip(grid, values, strict=True)) for values in product(*grid.values()))


def settings(model: str) -> tuple[Setting, ...]:
    """Return the candidates of a model, and behind them the settings that the study chose outside of its grid."""
    return (*candidates(model), *ENTRIES[model].outside)


def shown(setting: Setting) -> str:
    """Return a setting as text."""
    return ", ".join(f"{name} {value}" for name, value in setting.items())
