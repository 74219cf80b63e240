"""Descriptions of the rings of a quantum reservoir, in numbers."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from qml.checks import as_int, as_number


@dataclass(frozen=True)
class FeedbackRing:
    """A ring whose register starts anew at each step and is given the last measured values as angles.

    Args:
        n_qubits: size, at least 1.
        input_scale: s; an input x turns by s * feedback_scale * x radians.
        feedback_scale: b; a measured <Z> turns by b * arccos(<Z>) radians.
    """

    n_qubits: int = 6
    input_scale: float = 0.11
    feedback_scale: float = -0.33

    def __post_init__(self) -> None:
        _set(self, "n_qubits", as_int(self.n_qubits, "n_qubits", 1, " A ring needs qubits."))
        for name in ("input_scale", "feedback_scale"):
            _set(self, name, as_number(getattr(self, name), name))

    @property
    def kind(self) -> tuple[Any, ...]:
        """Return a value that is equal for rings that can run in one batch."""
        return ("feedback", self.n_qubits)


@dataclass(frozen=True)
class PersistentRing:
    """A ring whose register persists, while a few of its qubits take the input and are measured and reset at each step.

    Args:
        n_qubits: size, at least 1.
        n_measured: qubits that are measured and reset, from 1 to n_qubits: the more, the shorter the memory, and with
            all of them there is none.
        input_scale: s; an input x turns by s * x radians.
        weight_scale: fixed angles are uniform in [-weight_scale, weight_scale] radians; near 0 memory qubits hardly
            see the measured ones, and memory is long.
        n_layers: layers of gates a step. The first turns the later qubits under control of the measured ones and the
            second the other way round, so with one alone the features hold nothing of the past.
        n_rounds: how often a step feeds its input, measures and resets; each round gives features.
        seed: of the fixed angles.
    """

    n_qubits: int = 6
    n_measured: int = 2
    input_scale: float = 1.0
    weight_scale: float = 1.5
    n_layers: int = 2
    n_rounds: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        _set(self, "n_qubits", as_int(self.n_qubits, "n_qubits", 1, " A ring needs qubits."))
        for name, minimum in (("n_measured", 1), ("n_layers", 1), ("n_rounds", 1), ("seed", 0)):
            _set(self, name, as_int(getattr(self, name), name, minimum))
        if self.n_measured > self.n_qubits:
            raise ValueError(
                f"Argument `n_measured` must be at most the ring's {self.n_qubits} qubits, but is {self.n_measured}."
            )
        for name in ("input_scale", "weight_scale"):
            _set(self, name, as_number(getattr(self, name), name))

    @property
    def kind(self) -> tuple[Any, ...]:
        """Return a value that is equal for rings that can run in one batch."""
        return ("persistent", self.n_qubits, self.n_measured, self.n_layers, self.n_rounds)


Ring = FeedbackRing | PersistentRing


def as_rings(rings: Any) -> tuple[Ring, ...]:
    """Return `rings` as a tuple of at least one."""
    if not isinstance(rings, Iterable):
        fix = f"Pass [{rings}]." if isinstance(rings, (FeedbackRing, PersistentRing)) else "Pass [FeedbackRing(6)]."
        raise TypeError(f"Argument `rings` must be a sequence of rings, but is {type(rings).__name__}. {fix}")
    items = tuple(rings)
    if not items:
        raise ValueError("Argument `rings` must hold at least one ring, but is empty.")
    for ring in items:
        if not isinstance(ring, (FeedbackRing, PersistentRing)):
            raise TypeError(
                f"Argument `rings` must hold FeedbackRing or PersistentRing objects, but holds {type(ring).__name__}."
            )
    return items


def seeded(rings: tuple[Ring, ...], seed: int) -> tuple[Ring, ...]:
    """Return the rings with seeds of their own that follow from one seed."""
    return tuple(
        replace(ring, seed=1000 * seed + number) if isinstance(ring, PersistentRing) else ring
        for number, ring in enumerate(rings)
    )


def ring_to_json(ring: Ring) -> dict[str, Any]:
    """Describe the ring as JSON values."""
    return {"kind": ring.kind[0], **asdict(ring)}


def ring_from_json(values: dict[str, Any]) -> Ring:
    """Build the ring of `ring_to_json`."""
    options = dict(values)
    kind = FeedbackRing if options.pop("kind") == "feedback" else PersistentRing
    return kind(**options)


def _set(ring: Ring, name: str, value: object) -> None:
    """Put the plain number in place of a NumPy one, which JSON does not take."""
    object.__setattr__(ring, name, value)
