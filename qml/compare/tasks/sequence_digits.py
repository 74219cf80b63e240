"""MNIST digits as sequences of words: pixel by pixel, or the bit-planes of a few principal coordinates."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from qml.baselines import WordRNN, count_parameters, word_hidden_size_for
from qml.compare.task import Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks.sequences import TWINS, twin
from qml.compare.tasks.sequences_figures import digit_shares, digits_figure, losses_figure, norms_figure
from qml.compare.word_models import ClassicalWords, QuantumWords, WordLoss, WordModel
from qml.compare.word_training import SoapSetting, thinned, train_words
from qml.data import WordBatch, bit_planes, label_last, load_images, pixel_words
from qml.nn import QRNN, floored_likelihood_loss, word_loss

N_COORDINATES = 4
EVERY = 20  # mini-batches between looks at the validation part
TEST, VALIDATION = 0.3, 0.1


@dataclass(frozen=True)
class Network:
    """A recurrent network and how it is trained.

    Attributes:
        digits: The digits that are told apart.
        n_bits: Bits of a word.
        hidden_size: Workspace qubits.
        degree: Degree of the neurons; there are 2 stages everywhere.
        order: Order of the neurons.
        a_digit: NetworkImages of each digit in a mini-batch.
        n_batches: The largest number of mini-batches.
        settings: Settings of the network and of its twins, by name; a few were tried, the twins' on seeds 100 and 101.
        loss: The loss that the quantum network minimises.
    """

    digits: tuple[int, ...]
    n_bits: int
    hidden_size: int
    degree: int
    order: int
    a_digit: int
    n_batches: int
    settings: Mapping[str, SoapSetting]
    loss: WordLoss = word_loss

    def build(self, generator: torch.Generator) -> QRNN:
        """Build the quantum network."""
        return QRNN(
            self.n_bits,
            self.hidden_size,
            n_stages=2,
            order=self.order,
            degree=self.degree,
            batch_first=True,
            generator=generator,
        )


PIXELS = {"qrnn": SoapSetting(1e-3), "rnn": SoapSetting(1e-2), "lstm": SoapSetting(3e-2)}
COORDINATES = {"qrnn": SoapSetting(6e-3), "rnn": SoapSetting(3e-3), "lstm": SoapSetting(1e-2)}
_TWO = {"n_bits": 2, "hidden_size": 8, "degree": 2, "order": 2, "a_digit": 50, "n_batches": 400, "settings": PIXELS}
NETWORKS = {
    "zero-one": Network((0, 1), **_TWO),
    "three-six": Network((3, 6), **_TWO),
    "all": Network(
        tuple(range(10)),
        n_bits=N_COORDINATES,
        hidden_size=6,
        degree=3,
        order=1,
        a_digit=10,
        n_batches=1000,
        settings=COORDINATES,
        loss=floored_likelihood_loss,
    ),
}


@dataclass(frozen=True)
class NetworkImages:
    """The images of the digits that a network tells apart, not split yet, with the digits' places in its list."""

    network: Network
    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SequenceSplit:
    """Sequences with their label at the end.

    Attributes:
        network: The network that is trained on them.
        train: Images to train on.
        validation: Images that choose when to stop.
        test: Images that are looked at once.
    """

    network: Network
    train: WordBatch
    validation: WordBatch
    test: WordBatch

    def draw(self, generator: torch.Generator) -> WordBatch:
        """Draw a mini-batch with equally many images of each digit."""
        labels, rows = self.train.targets[:, -1], []
        for label in range(len(self.network.digits)):
            members = torch.nonzero(labels == label).flatten()
            rows.append(members[torch.randint(0, len(members), (self.network.a_digit,), generator=generator)])
        return WordBatch(*(part[torch.cat(rows)] for part in self.train))


def prepare(options: Options) -> NetworkImages:
    """Load the images of the chosen digits."""
    network = NETWORKS[str(options["words"])]
    return NetworkImages(network, *load_images(network.digits))


def split(images: NetworkImages, seed: int) -> SequenceSplit:
    """Split into 60 % to train on, 10 % to choose the stopping point on and 30 % to test on.

    Principal axes are fitted to the first part alone.
    """
    order = torch.randperm(len(images.labels), generator=torch.Generator().manual_seed(seed))
    n_test, n_validation = round(TEST * len(order)), round(VALIDATION * len(order))
    test, validation, train = order.split([n_test, n_validation, len(order) - n_test - n_validation])
    words = pixel_words(images.pixels) if images.network.n_bits == 2 else _coordinate_words(images.pixels, train)
    parts = [label_last(words[rows], images.labels[rows]) for rows in (train, validation, test)]
    return SequenceSplit(images.network, *parts)


def _coordinate_words(pixels: Tensor, train: Tensor) -> Tensor:
    """Compute bit-planes of the first principal coordinates, 8 bits each; axes and ranges are of the training part."""
    centre = pixels[train].mean(0)
    axes = np.linalg.svd((pixels[train] - centre).numpy(), full_matrices=False)[2][:N_COORDINATES]
    coordinates = (pixels - centre) @ torch.from_numpy(axes).T
    return bit_planes(coordinates, coordinates[train].amin(0), coordinates[train].amax(0))


def models(options: Options) -> dict[str, Model[SequenceSplit]]:
    """Return the paper's network, and an RNN and an LSTM with as many parameters."""
    network = NETWORKS[str(options["words"])]
    n_parameters = count_parameters(network.build(torch.Generator().manual_seed(0)))
    setting = network.settings["qrnn"]
    about = (
        f"{network.hidden_size} workspace and {network.n_bits} in/out qubits, 2 stages, neurons of order "
        f"{network.order} and degree {network.degree}, post-selected on 0 before the label; {network.a_digit} images "
        f"a digit; `{network.loss.__name__}`; {setting}."
    )
    offered = {"qrnn": Model("QRNN", "quantum", about, partial(_train, network.build, setting), (setting,))}
    for name, (title, kind) in TWINS.items():
        hidden = word_hidden_size_for(n_parameters, kind, network.n_bits)
        setting = network.settings[name]
        recipe = f"{hidden} units: the QRNN's {n_parameters} parameters, as near as it gets; {setting}."
        build = partial(twin, kind, network.n_bits, hidden)
        offered[name] = Model(title, "classical", recipe, partial(_train, build, setting), (setting,))
    return offered


def sections(images: NetworkImages, records: list[Record], options: Options) -> list[Section]:
    """Show learning curves, and how gradients fade over time."""
    measured = [
        f"{record.model}, seed {record.seed}: {100 * float(record.outcome.extras['measured']):.1f} %"
        for record in records
    ]
    return [
        Section(
            "Digit by digit",
            f"The share of each digit's test images that are named right; the bar is the median of all seeds. "
            f"{_by_digit(images.network.digits, records, options)}",
            digits_figure(records, models(options), images.network.digits),
        ),
        Section(
            "Learning curves",
            "The loss of each mini-batch. The accuracy above takes the most probable label. A device that measures the "
            "label once, after all words before it were post-selected, is right with this probability: "
            f"{'; '.join(measured)}.",
            losses_figure(records, models(options), None),
        ),
        Section(
            "Do gradients vanish?",
            "The norm of the loss's gradient in the state after each step, a root mean square over samples and seeds, "
            "before training (dashed) and after it.",
            norms_figure(records, models(options)),
        ),
    ]


def _by_digit(digits: Sequence[int], records: list[Record], options: Options) -> str:
    """Describe medians over seeds in words."""
    told = []
    for model in dict.fromkeys(record.model for record in records):
        shares = digit_shares([record for record in records if record.model == model])
        each = ", ".join(f"{digit}: {100 * share:.0f} %" for digit, share in zip(digits, shares, strict=True))
        told.append(f"{models(options)[model].title}: {each}.")
    return " ".join(told)


def _train(
    build: Callable[[torch.Generator], QRNN | WordRNN],
    setting: SoapSetting,
    split: SequenceSplit,
    seed: int,
    preset: Preset,
    on_step: OnStep,
) -> Outcome:
    """Train, and keep the weights that are best on the validation part, looked at every 20 mini-batches."""
    layer = build(torch.Generator().manual_seed(1000 + seed))
    model = QuantumWords(layer, split.network.loss) if isinstance(layer, QRNN) else ClassicalWords(layer)
    started, best = time.perf_counter(), _Best(split.validation)
    run = train_words(
        model,
        split.draw,
        setting,
        n_batches=min(split.network.n_batches, preset.n_epochs),
        goal=None,
        generator=torch.Generator().manual_seed(seed),
        on_step=on_step,
        watch=best.look,
    )
    best.look(0, run.answering)  # the weights at the end too
    model.load_state_dict(best.state)
    share, measured, matrix = accuracies(model, split.test, len(split.network.digits))
    return Outcome(
        value=share,
        n_parameters=count_parameters(model),
        seconds=time.perf_counter() - started,
        extras={
            "measured": measured,
            "validation_accuracy": best.merit[0],
            "setting": str(setting),
            "epoch": len(run.losses),
            "n_train": len(split.train.inputs),
            "n_test": len(split.test.inputs),
        },
        details={
            "losses": thinned(run.losses),
            "norms_before": run.norms_before,
            "norms_after": run.norms_after,
            "matrix": matrix,
        },
    )


class _Best:
    """The weights with the best validation accuracy so far; ties go to the lower loss."""

    def __init__(self, data: WordBatch) -> None:
        self.data, self.merit = data, (-1.0, 0.0)
        self.state: dict[str, Tensor] = {}

    def look(self, number: int, model: WordModel) -> None:
        if number % EVERY:
            return
        share, measured, _ = accuracies(model, self.data, 1)
        if (share, measured) > self.merit:
            self.merit, self.state = (share, measured), copy.deepcopy(model.state_dict())


def accuracies(model: WordModel, data: WordBatch, n_labels: int) -> tuple[float, float, list[list[int]]]:
    """Compute the share of most probable words that are the label, the label's mean probability, and counts.

    Counts have a row a label and a column an answer; the last column is for words that are no label.
    """
    labels, hits, chance = data.targets[:, -1], 0, 0.0
    matrix = torch.zeros(n_labels, n_labels + 1, dtype=torch.long)
    with torch.no_grad():
        for rows in torch.arange(len(labels)).split(250):
            _, probabilities = model.loss(WordBatch(*(part[rows] for part in data)))
            last, own = probabilities[:, -1], labels[rows]
            guesses = last.argmax(-1)
            hits += int((guesses == own).sum())
            chance += float(last.gather(1, own[:, None]).sum())
            if n_labels > 1:
                matrix.index_put_((own, guesses.clamp_max(n_labels)), torch.ones_like(own), accumulate=True)
    return hits / len(labels), chance / len(labels), matrix.tolist()


SEQUENCE_DIGITS = Task(
    name="sequence-digits",
    title="Digits, one word at a time",
    question="Real MNIST images read word by word, the label asked for at the end, by a recurrent quantum neural "
    "network (Bausch, arXiv 2006.14619) and by an RNN and an LSTM of the same number of parameters. zero-one and "
    "three-six: 10x10 binary pixels, by rows and by columns at once, 100 steps. all: ten digits from four principal "
    "coordinates of 8 bits, a bit-plane a step.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(10, 1, 1500), "demo": Preset(2, 1, 200)},
    sections=sections,
    options={"words": tuple(NETWORKS)},
    together=tuple(NETWORKS),
)
