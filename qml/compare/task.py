"""What a comparison consists of: a task, its models, and what training one of them yields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Option = int | str
Options = Mapping[str, Option]
BUDGET = 0.1  # by which numbers of parameters may differ and still count as equal; of a few, by one
OnStep = Callable[[float, str], None]  # share done in [0, 1], and a few words


@dataclass(frozen=True)
class Metric:
    """The number that models are compared by.

    Attributes:
        name: Its name in the result file.
        title: Its name in tables and figures.
        larger_is_better: False for an error.
        percent: Whether it is a share in [0, 1], shown in per cent.
        digits: Significant digits of a number that is no share.
    """

    name: str = "test_accuracy"
    title: str = "Test accuracy"
    larger_is_better: bool = True
    percent: bool = True
    digits: int = 3

    def show(self, value: float) -> str:
        """`value` as text."""
        return f"{100 * value:.1f} %" if self.percent else f"{value:.{self.digits}g}"


@dataclass(frozen=True)
class Preset:
    """How much work a comparison does; every model gets the same.

    Attributes:
        n_seeds: Splits and initialisations, unless the user says otherwise.
        n_settings: Settings tried a model and seed; the validation part chooses among them.
        n_epochs: The most passes over the training part of one training run.
    """

    n_seeds: int
    n_settings: int
    n_epochs: int


@dataclass(frozen=True)
class Outcome:
    """What one model reached on one split.

    Attributes:
        value: The metric.
        n_parameters: Trainable numbers.
        seconds: The training run that was chosen.
        extras: More numbers and words, written beside the metric.
        details: Curves and tables for the figures.
    """

    value: float
    n_parameters: int
    seconds: float
    extras: dict[str, float | int | str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One finished cell of a comparison: a model on a seed."""

    task: str
    model: str
    seed: int
    metric: str
    outcome: Outcome


@dataclass(frozen=True)
class Model:
    """A competitor.

    Attributes:
        title: Its name in figures.
        kind: "quantum" or "classical".
        recipe: What it is, in words: shown in the report and part of the settings that a folder is bound to.
        train: Trains on `(split, seed, preset, on_step)`. It looks at the test part once, when all is chosen.
        settings: What is tried on the validation part; every trained model of a task lists equally many.
        family: What question it answers, in a task that has several; only models of one family are compared in words.
    """

    title: str
    kind: str
    recipe: str
    train: Callable[[Any, int, Preset, OnStep], Outcome]
    settings: tuple[Any, ...] = ()
    family: str = ""


@dataclass(frozen=True)
class Section:
    """A piece of the report: a heading, words, and a figure."""

    title: str
    text: str
    figure: "Figure | None" = None


@dataclass(frozen=True)
class Task:
    """A question, its data, and the models that answer it.

    Attributes:
        name: What the command line calls it.
        title: The report's heading.
        question: What is asked and on which data, for the top of the report.
        prepare: Loads the data once, from the options.
        split: `(data, seed)` to what each model is given: the same for every model.
        models: The competitors under the options, quantum first.
        presets: Amounts of work by name; the first is the default.
        options: Allowed values by name; the first is the default. The command line takes values of the first option
            after the task's name, and compares them one after another.
        together: The values of the first option that are compared where none is named, by
            `qml compare all` too; () for its default alone.
        sections: `(data, records, options)` to the report's own sections.
        metric: What is compared.
        labels: What -1 and +1 mean.
    """

    name: str
    title: str
    question: str
    prepare: Callable[[Options], Any]
    split: Callable[[Any, int], Any]
    models: Callable[[Options], dict[str, Model]]
    presets: Mapping[str, Preset]
    sections: Callable[[Any, list[Record], Options], list[Section]]
    options: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    together: tuple[Option, ...] = ()
    metric: Metric = field(default_factory=Metric)
    labels: tuple[str, str] = ("-1", "+1")
