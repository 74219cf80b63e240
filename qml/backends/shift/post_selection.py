"""Samples under post-selection: rows are run until enough of their shots have passed."""

from collections.abc import Callable

import numpy as np

MAX_ROUNDS = 20
MAX_SHOTS_FACTOR = 100  # a round draws at most so many times the shots that are asked for


def draw_passing(
    draw: Callable[[np.ndarray, int], np.ndarray], kept: tuple[tuple[int, int], ...], rows: np.ndarray, shots: int
) -> np.ndarray:
    """Draw `shots` outcomes of each row that pass post-selection, (rows, shots, n_bits).

    Args:
        draw: from rows (rows, slots) and a number of shots to bits (rows, shots, n_bits).
        kept: pairs (bit, value); a shot passes where each of these bits has its value.
        rows: angles, at least one row.
        shots: at least one.

    Raises:
        ValueError: after 20 rounds a row has passed too seldom.
    """
    outcomes: list[list[np.ndarray]] = [[] for _ in rows]
    open_rows, n_drawn = list(range(len(rows))), shots
    for _ in range(MAX_ROUNDS):
        for row, bits in zip(open_rows, draw(rows[open_rows], n_drawn), strict=True):
            passes = np.all([bits[:, bit] == value for bit, value in kept], axis=0) if kept else slice(None)
            outcomes[row].append(bits[passes])
        counts = {row: sum(map(len, outcomes[row])) for row in open_rows}
        open_rows = [row for row in open_rows if counts[row] < shots]
        if not open_rows:
            return np.array([np.concatenate(rounds)[:shots] for rounds in outcomes], np.uint8)
        # The rarest row decides, so that most rows are complete after the next round.
        rarest = max(1, min(counts[row] for row in open_rows))
        n_drawn = min(
            MAX_SHOTS_FACTOR * shots, -(-shots * n_drawn // rarest)
        )  # so that most rows are complete next time
    raise ValueError(
        f"Post-selection must pass {shots} shots, but passed fewer in {MAX_ROUNDS} rounds. Ask "
        "for fewer shots, or check the circuit with success_probability."
    )
