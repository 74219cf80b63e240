"""Entangling patterns: which pairs of qubits a layer of two-qubit gates joins, and in which order.

    =================  ===============================================  ============================
    pattern            pairs on 4 qubits, in order                      Qiskit's name
    =================  ===============================================  ============================
    `"line"`           (0, 1), (1, 2), (2, 3)                           `"linear"`
    `"reversed_line"`  (2, 3), (1, 2), (0, 1)                           `"reverse_linear"`
    `"ring"`           (0, 1), (1, 2), (2, 3), (3, 0)                   none (PennyLane's layers)
    `"closed_line"`    (3, 0), (0, 1), (1, 2), (2, 3)                   `"circular"`
    `"all"`            (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)   `"full"`
    `"pairs"`          (0, 1), (2, 3), (1, 2)                           `"pairwise"`
    =================  ===============================================  ============================

On two qubits each of them is the one pair (0, 1).
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from circuits import _checks

Pair = tuple[int, int]
Pattern = str | Sequence[Sequence[int]]

PATTERNS = ("line", "reversed_line", "ring", "closed_line", "all", "pairs")


def pairs_of(pattern: Pattern, n_qubits: int) -> tuple[Pair, ...]:
    """Return the pairs of qubits that a pattern joins, in order.

    Args:
        pattern: a name of `PATTERNS`, or the pairs themselves.
        n_qubits: number of qubits, at least 2.

    Raises:
        ValueError: one qubit alone, an unknown pattern, a pair outside the circuit, a qubit that occurs in no pair.

    Example:
        >>> pairs_of("ring", 3)
        ((0, 1), (1, 2), (2, 0))
    """
    n_qubits = require_neighbours(n_qubits)
    if not isinstance(pattern, str):
        return _given(pattern, n_qubits)
    _checks.require_choice(pattern, "pattern", PATTERNS)
    line = [(qubit, qubit + 1) for qubit in range(n_qubits - 1)]
    closing = [(n_qubits - 1, 0)] if n_qubits > 2 else []
    pairs = {
        "line": line,
        "reversed_line": line[::-1],
        "ring": line + closing,
        "closed_line": closing + line,
        "all": combinations(range(n_qubits), 2),
        "pairs": line[::2] + line[1::2],
    }
    return tuple(pairs[pattern])


def require_neighbours(n_qubits: int) -> int:
    """Return the number of qubits; refuse one qubit alone, which has no neighbour."""
    reason = " One qubit alone has no neighbour to be entangled with."
    return _checks.as_int(n_qubits, "n_qubits", 2, reason)


def _given(pattern: Iterable[Sequence[int]], n_qubits: int) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    for pair in pattern:
        members = _checks.as_qubits(pair, n_qubits, "pattern")
        _checks.require_length(members, 2, "pattern", "qubits a pair")
        pairs.append((members[0], members[1]))
    alone = sorted(set(range(n_qubits)) - {qubit for pair in pairs for qubit in pair})
    if alone:
        raise ValueError(
            f"Argument `pattern` must give every qubit a neighbour, but qubits {alone} are in no pair. Add pairs, or "
            "build the circuit on fewer qubits and compose it with others."
        )
    return tuple(pairs)
