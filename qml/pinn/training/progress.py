"""Training watched in a terminal: a bar with the loss parts beside it."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

SCALE = 1000


class LiveTraining:
    """A bar to be used in a `with` statement; it is what `train` takes as `on_step`.

    Args:
        console: where to draw.

    Example:
        >>> from rich.console import Console
        >>> with LiveTraining(Console()) as watch:  # doctest: +SKIP
        ...     train(model, Training(), seed=0, on_step=watch)
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=SCALE)

    def __enter__(self) -> "LiveTraining":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, share: float, text: str) -> None:
        """Move the bar to a share in [0, 1], and show the words."""
        self._progress.update(self._task, completed=SCALE * share, description=text)
