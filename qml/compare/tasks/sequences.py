"""Sequences of words: how many mini-batches a recurrent network needs until it knows them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import nn

from qml.baselines import WordRNN, count_parameters, word_hidden_size_for
from qml.baselines.words import Kind
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks.sequences_figures import losses_figure, norms_figure
from qml.compare.word_curriculum import Goal, Lengthening
from qml.compare.word_models import ClassicalWords, QuantumWords
from qml.compare.word_training import SoapSetting, thinned, train_words
from qml.data import Draw, dna, elman_letters, elman_xor, sentences
from qml.nn import QRNN


@dataclass(frozen=True)
class WordProblem:
    """A kind of sequences, with the network that the paper takes for them.

    Attributes:
        draw: Makes the source of mini-batches.
        about: The words that have to be learnt, and their structure.
        n_bits: Bits of a word.
        hidden_size: Workspace qubits.
        n_stages: Stages; degree 3 everywhere.
        goal: The condition for them to count as learnt.
        settings: Settings of the network and of its twins, by name, chosen on seeds 100 to 107: two or three rates
            each, and for the DNA network hundreds of settings of its start and order too.
        published: Median number of mini-batches of the paper, for the report.
        order: Order of the neurons.
        slow: Whether an untrained step turns the workspace less; see `slowed`.
    """

    draw: Callable[[], Draw]
    about: str
    n_bits: int
    hidden_size: int
    n_stages: int
    goal: Goal
    settings: Mapping[str, SoapSetting]
    published: str
    order: int = 2
    slow: bool = False

    def quantum(self, generator: torch.Generator) -> QRNN:
        """Build the paper's network."""
        network = QRNN(
            self.n_bits,
            self.hidden_size,
            n_stages=self.n_stages,
            order=self.order,
            degree=3,
            batch_first=True,
            generator=generator,
        )
        return slowed(network) if self.slow else network


def slowed(network: QRNN) -> QRNN:
    """Move the angles of an untrained network of one stage and order 1 so that a step turns its workspace less.

    Two neurons of angle pi/2 turn a qubit by 45 degrees each: untrained, a workspace goes round once in four steps, and
    gradients from different places of a sequence cancel. Here the rotation between them takes 90 degrees back, and the
    workspace's neurons begin at 0.4 pi, where they turn by 28 degrees: 34 backwards a step in all. (No turn at all was
    slower to learn from.) Weights are spread three times as widely as the paper's.
    """
    cell = network.cell
    with torch.no_grad():
        cell.weights.mul_(3.0)
        cell.rotations.mul_(3.0).sub_(math.pi)
        if cell.bias is not None:
            cell.bias[: -cell.input_size].sub_(0.1 * math.pi)
    return network


def _dna(length: int, published: str) -> WordProblem:
    about = (
        f"{length} bases with one mark in the first half; the mark is asked for where it is read, and the base behind "
        "it at the end. Training begins with 8 bases and goes on to longer sequences each time that 98 % of a "
        "mini-batch are right; all mini-batches count, and those of full length decide."
    )
    rates = {"qrnn": 0.01, "rnn": 0.03, "lstm": 0.03}
    settings = {name: SoapSetting(rate, averaging=0.9) for name, rate in rates.items()}
    # The paper prints neither order nor criterion. Order 1 learns where order 2 gets stuck.
    return WordProblem(
        partial(Lengthening, dna, length), about, 3, 5, 1, Goal(share=0.995), settings, published, order=1, slow=True
    )


def _clipped(**rates: float) -> dict[str, SoapSetting]:
    return {name: SoapSetting(rate, max_norm=0.5) for name, rate in rates.items()}


SEQUENCES: dict[str, WordProblem] = {
    "xor": WordProblem(
        lambda: elman_xor,
        "Bits a, b, a xor b, 36 in a row; every third can be foretold from the two before it.",
        2,
        4,
        1,
        Goal(1e-3),
        _clipped(qrnn=0.01, rnn=0.1, lstm=0.1),
        "170 to 200",
    ),
    "memory": WordProblem(
        lambda: sentences,
        "The two sentences 444... and 0123 0123..., 20 words of 3 bits each.",
        3,
        5,
        2,
        Goal(1e-3),
        _clipped(qrnn=0.01, rnn=0.1, lstm=0.1),
        "not printed",
    ),
    "letters": WordProblem(
        lambda: elman_letters,
        "Syllables ba, dii and guuu in random order, 36 letters.",
        3,
        6,
        2,
        Goal(0.01),
        _clipped(qrnn=0.005, rnn=0.1, lstm=0.1),
        "90",
    ),
    "dna10": _dna(10, "180 (LSTM 193)"),
    "dna50": _dna(50, "255 (LSTM 881)"),
    "dna100": _dna(100, "370 (LSTM 1187)"),
}
TWINS: dict[str, tuple[str, Kind]] = {"rnn": ("RNN", "rnn"), "lstm": ("LSTM", "lstm")}


def prepare(options: Options) -> WordProblem:
    """Return the chosen sequences."""
    return SEQUENCES[str(options["words"])]


def split(words: WordProblem, seed: int) -> WordProblem:
    """Return the words as they are: every mini-batch is drawn anew, the same ones for every model."""
    return words


def models(options: Options) -> dict[str, Model[WordProblem]]:
    """Return the paper's network, and an RNN and an LSTM with as many parameters."""
    words = prepare(options)
    n_parameters = count_parameters(words.quantum(torch.Generator().manual_seed(0)))
    setting = words.settings["qrnn"]
    offered = {
        "qrnn": Model(
            "QRNN",
            "quantum",
            f"{words.hidden_size} workspace and {words.n_bits} in/out qubits, {words.n_stages} stages, neurons of "
            f"order {words.order} and degree 3{', slowed at the start' if words.slow else ''}, post-selected on the "
            f"targets; cross-entropy of probabilities as logits; {setting}.",
            partial(_train, words.quantum, setting),
            (setting,),
        )
    }
    for name, (title, kind) in TWINS.items():
        hidden = word_hidden_size_for(n_parameters, kind, words.n_bits)
        setting = words.settings[name]
        offered[name] = Model(
            title,
            "classical",
            f"{hidden} units: the QRNN's {n_parameters} parameters, as near as it gets; cross-entropy; {setting}.",
            partial(_train, partial(twin, kind, words.n_bits, hidden), setting),
            (setting,),
        )
    return offered


def sections(words: WordProblem, records: list[Record], options: Options) -> list[Section]:
    """Show medians and ranges, learning curves, and how gradients fade over time."""
    shown = []
    for model in dict.fromkeys(record.model for record in records):
        chosen = [record.outcome for record in records if record.model == model]
        values = sorted(outcome.value for outcome in chosen)
        learnt = sum(outcome.extras.get("learnt") == "yes" for outcome in chosen)
        shown.append(
            f"{models(options)[model].title}: median {median(values):g}, {values[0]:g} to {values[-1]:g}, learnt by "
            f"{learnt} of {len(values)} seeds."
        )
    return [
        Section(
            "Learning curves",
            f"{words.about} Learnt means that {words.goal}; a run that never gets there counts with all its "
            f"mini-batches. {' '.join(shown)} The paper's median for the "
            f"quantum network: {words.published}. The figure shows the loss of each new mini-batch, a line a seed: "
            "cross-entropy of probabilities as logits, less its lowest value, whatever the model is trained on.",
            losses_figure(records, models(options), words.goal.loss or None),
        ),
        Section(
            "Do gradients vanish?",
            "The norm of the loss's gradient in the state after each step, a root mean square over samples and seeds, "
            "before training (dashed) and after it. A flat line means that early steps are still heard.",
            norms_figure(records, models(options)),
        ),
    ]


def _train(
    build: Callable[[torch.Generator], QRNN | WordRNN],
    setting: SoapSetting,
    words: WordProblem,
    seed: int,
    preset: Preset,
    on_step: OnStep,
) -> Outcome:
    layer = build(torch.Generator().manual_seed(1000 + seed))
    model: nn.Module = QuantumWords(layer) if isinstance(layer, QRNN) else ClassicalWords(layer)
    run = train_words(
        model,
        words.draw(),
        setting,
        n_batches=preset.n_epochs,
        goal=words.goal,
        generator=torch.Generator().manual_seed(seed),
        on_step=on_step,
    )
    n_trained = len(run.losses) - 1 if run.learnt else len(run.losses)
    return Outcome(
        value=float(n_trained),
        n_parameters=count_parameters(model),
        seconds=run.seconds,
        extras={
            "learnt": "yes" if run.learnt else "no",
            "setting": str(setting),
            "epoch": n_trained,
            "last_loss": run.losses[-1],
        },
        details={
            "losses": thinned(run.losses),
            "norms_before": run.norms_before,
            "norms_after": run.norms_after,
        },
    )


def twin(kind: Kind, n_bits: int, hidden: int, generator: torch.Generator) -> WordRNN:
    """Build a classical network of words."""
    return WordRNN(kind, n_bits, hidden, generator=generator)


WORD_SEQUENCES = Task(
    name="sequences",
    title="Remembering words",
    question="A recurrent quantum neural network (Bausch, arXiv 2006.14619) beside an RNN and an LSTM of the same "
    "number of parameters, the same optimiser and the same mini-batches: how many of them does each need?",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(10, 1, 3000), "demo": Preset(3, 1, 500)},
    sections=sections,
    options={"words": tuple(SEQUENCES)},
    together=tuple(SEQUENCES),
    metric=Metric("mini_batches", "Mini-batches to learn", larger_is_better=False, percent=False),
)
