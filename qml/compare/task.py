"""The protocol of a comparison: a task, its models, and the outcome of training one of them.

A `Task[DataT, SplitT]` is the protocol, and the type checker holds its functions to it: `prepare` returns `DataT`,
`split` turns it into `SplitT`, every model trains on that `SplitT`, and `sections` reads the `DataT` again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from circuits.plain_checks import require_choice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Option = int | str
Options = Mapping[str, Option]
BUDGET = 0.1  # relative difference in parameter count that still counts as equal (or one parameter)
OnStep = Callable[[float, str], None]  # share done in [0, 1], and a few words
DataT = TypeVar("DataT")
SplitT = TypeVar("SplitT")
SplitT_contra = TypeVar("SplitT_contra", contravariant=True)


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
        """Return `value` as text."""
        return f"{100 * value:.1f} %" if self.percent else f"{value:.{self.digits}g}"


@dataclass(frozen=True)
class Preset:
    """An amount of work, which every model of a comparison gets alike.

    Attributes:
        n_seeds: Splits and initialisations, unless the user says otherwise.
        n_settings: Settings tried for each model and seed; the validation part chooses among them.
        n_epochs: The largest number of passes over the training part in one training run.
    """

    n_seeds: int
    n_settings: int
    n_epochs: int


@dataclass(frozen=True)
class Outcome:
    """The result that one model reached on one split.

    Attributes:
        value: The metric.
        n_parameters: Number of trainable numbers.
        seconds: Duration of the training run that was chosen.
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
    """A finished cell of a comparison: a model on a seed.

    Attributes:
        task: The task's name.
        model: The model's name in the task.
        seed: The seed of the split and of the training.
        metric: The name of the metric; its value is `outcome.value`.
        outcome: What the training reached.
    """

    task: str
    model: str
    seed: int
    metric: str
    outcome: Outcome


KINDS = ("quantum", "classical")


@dataclass(frozen=True)
class Model(Generic[SplitT_contra]):
    """A competitor that trains on the splits of its task.

    Attributes:
        title: Its name in figures.
        kind: "quantum" or "classical".
        recipe: Its description in words, shown in the report and part of the settings that a folder is bound to.
        train: Trains on `(split, seed, preset, on_step)`. It looks at the test part once, when all is chosen.
        settings: Hyperparameters tried on the validation part; every trained model of a task lists equally many.
        family: The question that it answers, in a task that has several; only models of one family are compared in
            words.
        is_seeded: False where a seed changes nothing, as neither data nor weights nor points are drawn: the model is
            trained once, and the result stands for every seed.

    Raises:
        ValueError: another kind.
    """

    title: str
    kind: str
    recipe: str
    train: Callable[[SplitT_contra, int, Preset, OnStep], Outcome]
    settings: tuple[Any, ...] = ()
    family: str = ""
    is_seeded: bool = True

    def __post_init__(self) -> None:
        require_choice(self.kind, "kind", KINDS)


@dataclass(frozen=True)
class Section:
    """A piece of the report: a heading, words, and perhaps a figure or a table."""

    title: str
    text: str
    figure: "Figure | None" = None
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Task(Generic[DataT, SplitT]):
    """A question, its data, and the models that answer it.

    Attributes:
        name: Its name on the command line.
        title: The report's heading.
        question: The question and the data it is asked on, for the top of the report.
        prepare: Loads the data once, from the options.
        split: Draws the parts of the data by `(data, seed)`: the same for every model.
        models: The competitors under the options, quantum first.
        presets: Amounts of work by name; the first is the default.
        options: Allowed values by name; the first is the default. The command line takes values of the first option
            after the task's name, and compares them one after another.
        together: The values of the first option that are compared where none is named, by
            `qml compare all` too; () for its default alone.
        groups: Names that stand for several values of the first option on the command line.
        sections: Writes the task's own sections of the report, from `(data, records, options)`.
        metric: The number that models are compared by.
        labels: Meanings of -1 and +1.
        protocol: How its models are trained and chosen, where that is not as in other tasks.
    """

    name: str
    title: str
    question: str
    prepare: Callable[[Options], DataT]
    split: Callable[[DataT, int], SplitT]
    models: Callable[[Options], Mapping[str, Model[SplitT]]]
    presets: Mapping[str, Preset]
    sections: Callable[[DataT, list[Record], Options], list[Section]]
    options: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    together: tuple[Option, ...] = ()
    groups: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    metric: Metric = field(default_factory=Metric)
    labels: tuple[str, str] = ("-1", "+1")
    protocol: str = ""
