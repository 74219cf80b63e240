"""The picture of a solution: its fields, their reference and the error, and how training went."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_LINE, N_PLANE = 401, 101  # points for each coordinate
INK, FIELD = "#52514e", "#2a78d6"


def solution_figure(solution: Any, field: str | None = None) -> "Figure":
    """Draw a field beside its reference and its error, and the loss over the steps. See `Solution.plot`."""
    from matplotlib.figure import Figure

    problem = solution.model.problem
    name = problem.fields[0] if field is None else field
    if name not in problem.fields:
        raise ValueError(f"Argument `field` must be one of {', '.join(problem.fields)}, but is {name!r}.")
    if len(problem.coordinates) > 2:
        raise ValueError(
            f"Argument `solution` must have one or two coordinates for a picture, but has {len(problem.coordinates)}. "
            "Plot `model.predict` on a slice."
        )
    on_a_line = len(problem.coordinates) == 1
    points = problem.whole.grid(N_LINE if on_a_line else N_PLANE)
    values = solution.model.predict(points)[:, problem.fields.index(name)]
    expected = _expected(solution, name, points, values)
    panels = 1 if expected is None else 2
    figure = Figure(
        figsize=(4.2 * (panels + (0 if on_a_line or expected is None else 1) + 1), 3.4), layout="constrained"
    )
    axes = figure.subplots(1, round(figure.get_figwidth() / 4.2))
    draw = _draw_lines if on_a_line else _draw_maps
    draw(solution, name, axes[:-1], points, values, expected)
    _draw_loss(solution, axes[-1])
    return figure


def _expected(solution: Any, name: str, points: np.ndarray, values: np.ndarray) -> np.ndarray | None:
    """Return the reference's values with the sign of the field, or None if it has none for it."""
    problem = solution.model.problem
    judged = problem.judged or problem.fields
    if problem.reference is None or name not in judged:
        return None
    expected = problem.reference(points)[:, judged.index(name)]
    return -expected if problem.sign_free and float(values @ expected) < 0 else expected


def _draw_lines(
    solution: Any, name: str, axes: Any, points: np.ndarray, values: np.ndarray, expected: np.ndarray | None
) -> None:
    x, coordinate = points[:, 0], solution.model.problem.coordinates[0]
    if expected is not None:
        axes[0].plot(x, expected, color=INK, lw=3.0, alpha=0.4, label="reference")
        axes[1].plot(x, values - expected, color=FIELD, lw=1.2)
        axes[1].set(xlabel=coordinate, ylabel=f"error of {name}")
    axes[0].plot(x, values, color=FIELD, lw=1.2, label="network")
    axes[0].set(xlabel=coordinate, ylabel=name)
    axes[0].legend(frameon=False)


def _draw_maps(
    solution: Any, name: str, axes: Any, points: np.ndarray, values: np.ndarray, expected: np.ndarray | None
) -> None:
    first, second = solution.model.problem.coordinates
    ends = [end for axis in (second, first) for end in solution.model.problem.whole.intervals[axis]]
    titles = [(name, values, "viridis")]
    if expected is not None:
        titles += [("reference", expected, "viridis"), ("error", values - expected, "RdBu_r")]
    shown = values if expected is None else np.concatenate([values, expected])
    for panel, (title, column, colours) in zip(axes, titles, strict=True):
        largest = float(np.abs(column).max()) or 1.0
        low, high = (-largest, largest) if title == "error" else (float(shown.min()), float(shown.max()))
        image = panel.imshow(
            column.reshape(N_PLANE, N_PLANE),
            origin="lower",
            aspect="auto",
            extent=ends,
            cmap=colours,
            vmin=low,
            vmax=high,
        )
        panel.set(title=title, xlabel=second, ylabel=first)
        panel.figure.colorbar(image, ax=panel)


def _draw_loss(solution: Any, axes: Any) -> None:
    for name, values in solution.loss_parts_history.items():
        axes.plot(solution.history.get("step", []), values, lw=1.2, label=name)
    if solution.held_out.get("step"):
        axes.plot(
            solution.held_out["step"], solution.held_out["loss"], color=INK, lw=2.0, alpha=0.5, label="held-out points"
        )
    axes.set(xlabel="step", ylabel="loss part", yscale="log")
    axes.legend(frameon=False, fontsize="small")
