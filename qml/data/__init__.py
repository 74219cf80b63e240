"""Data sets and their preparation: nothing is downloaded at run time."""

from qml.data.boolean import all_strings, random_subset, subset_majority, subset_parity
from qml.data.dataset import Dataset, Split, split_dataset
from qml.data.digits import binarise, bit_planes, downsample, load_digits, load_images, pixel_words, unambiguous
from qml.data.sequences import Draw, WordBatch, dna, elman_letters, elman_xor, label_last, sentences
from qml.data.states import hidden_axes, random_states, single_spins, spin_projection
from qml.data.waves import Waves, damped_waves

__all__ = [
    "Dataset",
    "Draw",
    "Split",
    "Waves",
    "WordBatch",
    "all_strings",
    "binarise",
    "bit_planes",
    "damped_waves",
    "dna",
    "downsample",
    "elman_letters",
    "elman_xor",
    "hidden_axes",
    "label_last",
    "load_digits",
    "load_images",
    "pixel_words",
    "random_states",
    "random_subset",
    "sentences",
    "single_spins",
    "spin_projection",
    "split_dataset",
    "subset_majority",
    "subset_parity",
    "unambiguous",
]
