"""Data sets and their preparation: nothing is downloaded at run time."""

from qml.data.boolean import all_strings, random_subset, subset_majority, subset_parity
from qml.data.dataset import Dataset, Split, split_dataset
from qml.data.digits import binarise, downsample, load_digits, unambiguous
from qml.data.states import hidden_axes, random_states, single_spins, spin_projection
from qml.data.waves import Waves, damped_waves

__all__ = [
    "Dataset",
    "Split",
    "Waves",
    "all_strings",
    "binarise",
    "damped_waves",
    "downsample",
    "hidden_axes",
    "load_digits",
    "random_states",
    "random_subset",
    "single_spins",
    "spin_projection",
    "split_dataset",
    "subset_majority",
    "subset_parity",
    "unambiguous",
]
