"""The README's table of all comparisons."""

import re

import pytest

from qml.compare import TASKS, Model, Task
from qml.compare.overview import markdown
from tools.readme_table import BEGIN, END, README, replaced, table_of


def test_the_readme_shows_the_table_of_every_task() -> None:
    lines = table_of(README.read_text(encoding="utf-8")).splitlines()
    assert lines[:2] == markdown([]).splitlines()
    shown = {re.match(r"\| `([\w-]+)", line)[1] for line in lines[2:]}  # pyright: ignore[reportOptionalSubscript]
    both = {name for name, task in TASKS.items() if {m.kind for m in models_of(task)} == {"quantum", "classical"}}
    assert shown == both
    assert table_of(replaced(f"a\n{BEGIN}\nold\n{END}\nb", "| new |\n")) == "| new |\n"
    with pytest.raises(ValueError, match="The README must have"):
        replaced("no marks", "| new |")


def models_of(task: Task) -> list[Model]:
    return list(task.models({name: allowed[0] for name, allowed in task.options.items()}).values())
