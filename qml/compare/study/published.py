"""The study's published numbers: accuracies, their deviations, and the settings that its searches chose.

`published.json` holds what arXiv:2403.07059 and its result files report, by family of data sets and model, in the order
of the sweep: mean test accuracy over five seeds, population deviation, and the number of the chosen candidate in
`qml.compare.study.grids.settings`. None where the study has no result. On two curves of different degrees the
accuracies of the SVC from degree 16, of the MLP from degree 13 and of the separable classifier are those on the
training samples; they are kept as published.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from qml.compare.study.grids import ENTRIES

DataSet = tuple[str, int]
"""A family of data sets, and its parameter."""


@dataclass(frozen=True)
class Published:
    """The study's result of a model on a data set.

    Attributes:
        accuracy: Mean test accuracy over five seeds.
        deviation: Population deviation over the seeds.
        candidate: Number of the chosen candidate in the grid; None where it is not known.
    """

    accuracy: float
    deviation: float
    candidate: int | None


@cache
def published_table() -> Mapping[DataSet, Mapping[str, Published]]:
    """Return the study's results by data set and then by the model's published name."""
    contents = json.loads(files("qml.compare.study").joinpath("published.json").read_text(encoding="utf-8"))
    table: dict[DataSet, dict[str, Published]] = {}
    for family, stored in contents["families"].items():
        for place, parameter in enumerate(stored["parameters"]):
            table[family, parameter] = {
                name: Published(columns["accuracy"][place], columns["deviation"][place], _candidate(columns, place))
                for name, columns in stored["models"].items()
                if columns["accuracy"][place] is not None
            }
    return table


def published(family: str, parameter: int, model: str) -> Published | None:
    """Return the study's result of a model, by the name in `ENTRIES`; None where there is none."""
    return published_table().get((family, parameter), {}).get(ENTRIES[model].published)


def _candidate(columns: Mapping[str, Any], place: int) -> int | None:
    return columns["candidate"][place] if "candidate" in columns else None
