"""Live progress in a terminal: a bar for the comparison and one for the cell that is training."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from qml.compare.engine import ComparisonPlan
from qml.compare.task import Record
from qml.terminal import verbatim, visible

SCALE = 1000  # steps of the cell's bar


class LiveProgress:
    """A listener that draws bars; where the console is no terminal it writes a line a finished cell.

    Args:
        console: The console that is drawn on.
        is_brief: Whether finished cells and those of earlier runs pass without a line.
    """

    def __init__(self, console: Console, *, is_brief: bool = False) -> None:
        self.console = console
        self.is_brief = is_brief
        self.n_finished = 0
        self._plan: ComparisonPlan | None = None
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
        )

    def __enter__(self) -> "LiveProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, plan: ComparisonPlan, n_finished: int, warnings: Sequence[str]) -> None:
        """Say how much is finished, and show the bars."""
        self._plan, self.n_finished = plan, n_finished
        for warning in warnings:
            self.console.print("[yellow]Warning:[/]", verbatim(warning), highlight=False, soft_wrap=True)
        if n_finished and not self.is_brief:
            already = verbatim(f"{n_finished} of {len(plan.cells)} runs are in {plan.folder} already.")
            self.console.print(already, soft_wrap=True)
        self._all = self._progress.add_task(
            visible(plan.task.name), total=len(plan.cells), completed=n_finished, note=""
        )
        self._cell = self._progress.add_task("", total=SCALE, note="loading the data", visible=False)

    def cell_started(self, model: str, seed: int) -> None:
        """Start the lower bar anew."""
        self._progress.reset(
            self._cell, total=SCALE, description=visible(f"{model}, seed {seed}"), note="", visible=True
        )

    def step(self, share: float, text: str) -> None:
        """Move the lower bar."""
        self._progress.update(self._cell, completed=SCALE * share, note=visible(text))

    def cell_finished(self, record: Record) -> None:
        """Move the upper bar, and write the result above both."""
        self.n_finished += 1
        self._progress.update(self._all, completed=self.n_finished)
        if self._plan is None or self.is_brief:
            return
        metric = self._plan.task.metric
        line = (
            f"  {record.model:<10} seed {record.seed}   {metric.title.lower()} "
            f"{metric.show(record.outcome.value):>7}   {record.outcome.seconds:6.1f} s"
        )
        self.console.print(verbatim(line), highlight=False)
