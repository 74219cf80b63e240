"""Errors that others have published for problems of `qml compare pinn`, for a table beside those of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from qml.compare.task import Model, Record, Section

READ_IN_SUMMARIES = "as third-party summaries give it, not checked in the paper"
PINNACLE = f"arXiv:2306.08827 (PINNacle), {READ_IN_SUMMARIES}"


@dataclass(frozen=True)
class PublishedError:
    """A relative L2 error that others have reported.

    Attributes:
        error: The number.
        by: The method that reached it.
        differs: What is not as in the problem here; "" where nothing is known to differ.
        source: The paper, and how the number was read.
    """

    error: float
    by: str
    differs: str = ""
    source: str = PINNACLE


def _best_of_11(method: str) -> str:
    return f"{method}, best of 11 methods, 20,000 steps"


PUBLISHED: dict[str, tuple[PublishedError, ...]] = {
    "burgers": (
        PublishedError(1.45e-2, _best_of_11("plain network")),
        PublishedError(1.6e-8, "self-scaled Broyden, 3021 weights", source=f"arXiv:2501.16371, {READ_IN_SUMMARIES}"),
        PublishedError(6.9e-7, "TINN, Levenberg-Marquardt", source=f"arXiv:2601.20361, {READ_IN_SUMMARIES}"),
    ),
    "pinnacle-poisson": (PublishedError(4.67e-4, _best_of_11("L-BFGS")),),
    "pinnacle-wave": (PublishedError(9.79e-2, _best_of_11("weights by the tangent kernel")),),
    "pinnacle-heat": (
        PublishedError(
            6.21e-2, _best_of_11("plain network"), "judged there by a solution on a grid, here by a formula"
        ),
    ),
    "pinnacle-heat-long": (PublishedError(0.999, _best_of_11("no method named"), "to t = 100 there, to 8 here"),),
    "pinnacle-cavity": (
        PublishedError(
            3.6e-2,
            _best_of_11("adaptive activations (LAAF)"),
            "velocities and pressure there; here stream function and vorticity, and the error of the stream function",
        ),
    ),
    "ks-chaotic": (
        PublishedError(0.957, _best_of_11("weights by the tangent kernel"), "to t = 1 there, to 0.5 here"),
        PublishedError(
            2.65e-5,
            "self-scaled Broyden, 5 windows",
            "data of the problem there were not checked",
            f"arXiv:2501.16371, {READ_IN_SUMMARIES}",
        ),
    ),
    "helmholtz": (PublishedError(2.0e-9, "SPRING, 2971 weights, 540 s", "", f"arXiv:2604.05230, {READ_IN_SUMMARIES}"),),
    "kdv": (PublishedError(1.5e-4, "TINN, Levenberg-Marquardt", "", f"arXiv:2601.20361, {READ_IN_SUMMARIES}"),),
    "allen-cahn": (PublishedError(9.4e-7, "self-scaled Broyden", "", f"arXiv:2501.16371, {READ_IN_SUMMARIES}"),),
}
"""By the name of the problem on the command line. The first of those with several is the benchmark's."""


def published_section(problem: str, records: Sequence[Record], models: dict[str, Model]) -> Section | None:
    """Return the table of the best model of a run and of the published errors; None where nobody published one.

    Args:
        problem: its name on the command line.
        records: of the run.
        models: by name.
    """
    published = PUBLISHED.get(problem, ())
    if not published or not records:
        return None
    errors = {
        name: [record.outcome.value for record in records if record.model == name]
        for name in dict.fromkeys(record.model for record in records)
    }
    best = min(errors, key=lambda name: median(errors[name]))
    ours = (f"{median(errors[best]):.2g}", models[best].title, "", f"this run, median of {len(errors[best])} seeds")
    rows = [(f"{one.error:.3g}", one.by, one.differs or "nothing known", one.source) for one in published]
    return Section(
        "Published errors",
        "The best model of this run, and what others report: other networks, other points and other amounts of work.",
        header=("relative L2 error", "by", "what differs from the problem here", "source"),
        rows=(ours, *rows),
    )
