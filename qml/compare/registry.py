"""Every task that `qml compare` knows."""

from qml.compare.task import Task
from qml.compare.tasks.backends import BACKENDS
from qml.compare.tasks.benchmark_series import MACKEY_GLASS, NARMA
from qml.compare.tasks.boolean import MAJORITY, PARITY
from qml.compare.tasks.calls import CALLS
from qml.compare.tasks.corrosion import CORROSION
from qml.compare.tasks.digits import DIGITS
from qml.compare.tasks.functions import FUNCTIONS
from qml.compare.tasks.heads import HEADS
from qml.compare.tasks.onion import ONION_REFERENCE
from qml.compare.tasks.pinn import PINN
from qml.compare.tasks.sequence_digits import SEQUENCE_DIGITS
from qml.compare.tasks.sequences import WORD_SEQUENCES
from qml.compare.tasks.series import SERIES_TASK
from qml.compare.tasks.states import STATES
from qml.compare.tasks.text import TEXT

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        DIGITS,
        PARITY,
        MAJORITY,
        STATES,
        ONION_REFERENCE,
        WORD_SEQUENCES,
        SEQUENCE_DIGITS,
        FUNCTIONS,
        SERIES_TASK,
        CALLS,
        HEADS,
        TEXT,
        BACKENDS,
        PINN,
        CORROSION,
        NARMA,
        MACKEY_GLASS,
    )
}


def find_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        ValueError: If there is none; the message lists those there are.
    """
    if name not in TASKS:
        raise ValueError(f"Argument `task` must be one of {', '.join(TASKS)}, but is {name!r}. Choose one of these.")
    return TASKS[name]
