"""Data sets and their preparation: nothing is downloaded at run time."""

from qml.data.benchmark_sets import bars_and_stripes, benchmark_set, parameters_of
from qml.data.boolean import all_strings, random_subset, subset_majority, subset_parity
from qml.data.calls import call_volumes, milan_activity
from qml.data.chaos import henon, henon_step, lorenz, lorenz_step, mackey_glass, narma10, sunspots
from qml.data.corrosion import STATIONS, Corrosion, aluminium_rate, corrosion
from qml.data.dataset import BenchmarkSet, Dataset, Split, split_dataset
from qml.data.digit_sets import digit_set
from qml.data.digits import binarise, bit_planes, downsample, load_digits, load_images, pixel_words, unambiguous
from qml.data.idx import read_idx, read_mnist
from qml.data.sensors import Scaler, Sensor, fill_gaps, read_series_csv
from qml.data.sequences import Draw, WordBatch, dna, elman_letters, elman_xor, label_last, sentences
from qml.data.series import SeriesSplit, bessel_series, damped_pendulum, split_series
from qml.data.states import hidden_axes, random_states, single_spins, spin_projection
from qml.data.text import Text, python_text
from qml.data.waves import Waves, damped_waves

__all__ = [
    "STATIONS",
    "BenchmarkSet",
    "Corrosion",
    "Dataset",
    "Draw",
    "Scaler",
    "Sensor",
    "SeriesSplit",
    "Split",
    "Text",
    "Waves",
    "WordBatch",
    "all_strings",
    "aluminium_rate",
    "bars_and_stripes",
    "benchmark_set",
    "bessel_series",
    "binarise",
    "bit_planes",
    "call_volumes",
    "corrosion",
    "damped_pendulum",
    "damped_waves",
    "digit_set",
    "dna",
    "downsample",
    "elman_letters",
    "elman_xor",
    "fill_gaps",
    "henon",
    "henon_step",
    "hidden_axes",
    "label_last",
    "load_digits",
    "load_images",
    "lorenz",
    "lorenz_step",
    "mackey_glass",
    "milan_activity",
    "narma10",
    "parameters_of",
    "pixel_words",
    "python_text",
    "random_states",
    "random_subset",
    "read_idx",
    "read_mnist",
    "read_series_csv",
    "sentences",
    "single_spins",
    "spin_projection",
    "split_dataset",
    "split_series",
    "subset_majority",
    "subset_parity",
    "sunspots",
    "unambiguous",
]
