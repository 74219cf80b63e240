"""Random circuits for hypothesis: plain tuples, which print and shrink well, and `build`, which makes a case of them.

A recipe is (n_qubits, batch, preparation, steps, observables, seed):
    preparation   None, or (qubits, source) with a source of PREPARATIONS
    steps         (kind, qubits, controls, angles, value) each; `value` is what else the kind needs, or None
    angles        ("const", number), ("data", label) or ("weight", label); equal labels are one slot
    observables   a tuple of sums; a sum is a tuple of (coefficient, Pauli string on all qubits)
    seed          of every number that needs no shrinking: data, weights, amplitudes, unitaries, Kraus operators
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from circuits import Circuit, Observable, Slot, channels, observable

THOROUGH = 100  # examples of a property that names no number, under `make test-all`
FEWEST = 10  # examples of a property under `make test`

Recipe = tuple[int, int, Any, tuple[Any, ...], tuple[Any, ...], int]

FIXED = ("x", "y", "z", "h", "s", "sdg", "t", "tdg")
ROTATIONS = ("rx", "ry", "rz", "p")
TWO_QUBIT_ROTATIONS = ("rxx", "ryy", "rzz", "rzx", "xx_plus_yy")
CONTROLLED = ("cx", "cy", "cz")  # the methods of these names; every unitary kind below also takes controls
STRINGS = ("pauli_rotation", "exp_pauli")
UNITARY_KINDS = (*FIXED, *ROTATIONS, *TWO_QUBIT_ROTATIONS, *CONTROLLED, *STRINGS, "swap", "u3", "unitary")

MID_CIRCUIT_KINDS = ("reset", "measure", "post_select")
CHANNELS: dict[str, Callable[[float], Any]] = {
    "depolarizing": channels.depolarizing,
    "amplitude_damping": channels.amplitude_damping,
    "phase_damping": channels.phase_damping,
    "bit_flip": channels.bit_flip,
}
NOISE_KINDS = (*CHANNELS, "depolarizing_2", "kraus")

PREPARATIONS = ("constant", "data", "data_complex")

SPECIAL_ANGLES = (0.0, np.pi / 2, np.pi, -np.pi, 2 * np.pi, -np.pi / 4)


class Case(NamedTuple):
    """A circuit with everything that a backend needs to run it."""

    circuit: Circuit
    data: np.ndarray  # (B, D)
    weights: np.ndarray  # (W,)
    observables: list[Observable]


# --- strategies -----------------------------------------------------------------------------------------------------


def examples(number: int, **options: Any) -> settings:
    """Settings of a property with so many examples under `make test-all`, and fewer, but the first ones, otherwise."""
    share = settings.default.max_examples / THOROUGH
    return settings(max_examples=max(round(min(share, 1.0) * number), min(number, FEWEST)), **options)


def recipes(
    kinds: tuple[str, ...] = UNITARY_KINDS,
    *,
    preparations: tuple[str, ...] = PREPARATIONS,
    max_qubits: int = 5,
    max_steps: int = 12,
    slots: tuple[str, ...] = ("const", "data", "weight"),
    min_batch: int = 0,
    max_batch: int = 3,
) -> st.SearchStrategy[Recipe]:
    """Recipes over the given kinds of steps, sources of amplitudes and kinds of angles."""
    return _recipes(kinds, preparations, max_qubits, max_steps, slots, (min_batch, max_batch))


@st.composite
def _recipes(
    draw: st.DrawFn,
    kinds: tuple[str, ...],
    preparations: tuple[str, ...],
    max_qubits: int,
    max_steps: int,
    slots: tuple[str, ...],
    batches: tuple[int, int],
) -> Recipe:
    n_qubits = draw(st.integers(1, max_qubits))
    batch = draw(st.integers(*batches))
    preparation = None
    if preparations and draw(st.integers(0, 3)) == 0:
        preparation = (draw(some_qubits(n_qubits, 1, min(3, n_qubits))), draw(st.sampled_from(preparations)))
    possible = tuple(kind for kind in kinds if targets_of(kind)[0] <= n_qubits)
    count = draw(st.integers(0, max_steps))
    drawn = tuple(draw(steps(n_qubits, possible, slots)) for _ in range(count)) if possible else ()
    sums = draw(st.lists(observable_sums(n_qubits), min_size=1, max_size=3))
    return n_qubits, batch, preparation, drawn, tuple(sums), draw(st.integers(0, 2**16))


@st.composite
def steps(draw: st.DrawFn, n_qubits: int, kinds: tuple[str, ...], slots: tuple[str, ...]) -> tuple[Any, ...]:
    """One step of a recipe."""
    kind = draw(st.sampled_from(kinds))
    lowest, highest = targets_of(kind)
    qubits = draw(some_qubits(n_qubits, lowest, min(highest, n_qubits)))
    controls: tuple[int, ...] = ()
    if kind in UNITARY_KINDS and kind not in CONTROLLED:
        rest = [qubit for qubit in range(n_qubits) if qubit not in qubits]
        few = draw(st.integers(0, 7))  # mostly none or one, now and then all
        wanted = {5: 1, 6: 2, 7: len(rest)}.get(few, 0)
        controls = tuple(draw(st.permutations(rest))[:wanted]) if wanted else ()
    angles = tuple(draw(angle(slots)) for _ in range(n_angles_of(kind)))
    value: Any = None
    if kind in STRINGS:
        value = "".join(draw(st.sampled_from("XYZI")) for _ in qubits)
    elif kind == "post_select":
        value = draw(st.integers(0, 1))
    elif kind in NOISE_KINDS:
        value = draw(st.sampled_from((0.1, 0.0, 1.0, 0.37)))
    return kind, qubits, controls, angles, value


def angle(slots: tuple[str, ...]) -> st.SearchStrategy[tuple[str, float | int]]:
    """A constant, or a slot's label; few labels, so that slots are shared."""
    number = st.one_of(st.sampled_from(SPECIAL_ANGLES), st.floats(-7, 7, width=32))
    options = {
        "const": st.tuples(st.just("const"), number),
        "data": st.tuples(st.just("data"), st.integers(0, 3)),
        "weight": st.tuples(st.just("weight"), st.integers(0, 4)),
    }
    return st.one_of(*(options[kind] for kind in slots))


def some_qubits(n_qubits: int, lowest: int, highest: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Between `lowest` and `highest` distinct qubits in any order."""
    return st.lists(st.integers(0, n_qubits - 1), min_size=lowest, max_size=highest, unique=True).map(tuple)


def observable_sums(n_qubits: int) -> st.SearchStrategy[tuple[tuple[float, str], ...]]:
    """One to three weighted Pauli strings, Y among the letters and the constant among the strings."""
    coefficient = st.sampled_from((1.0, -0.5, 0.25, -2.0))
    string = st.text("YXZI", min_size=n_qubits, max_size=n_qubits)
    return st.lists(st.tuples(coefficient, string), min_size=1, max_size=3).map(tuple)


def targets_of(kind: str) -> tuple[int, int]:
    """The least and the largest number of qubits on which a kind acts."""
    if kind in (*TWO_QUBIT_ROTATIONS, *CONTROLLED, "swap", "depolarizing_2"):
        return 2, 2
    return {"unitary": (1, 2), "kraus": (1, 2), "pauli_rotation": (1, 5), "exp_pauli": (1, 5)}.get(kind, (1, 1))


def n_angles_of(kind: str) -> int:
    """How many angles a kind takes."""
    if kind == "u3":
        return 3
    return 1 if kind in (*ROTATIONS, *TWO_QUBIT_ROTATIONS, *STRINGS) else 0


# --- from a recipe to a case ----------------------------------------------------------------------------------------


def build(recipe: Recipe) -> Case:
    """The case of a recipe. Slots are renumbered in the order of their use, so that there are no gaps."""
    n_qubits, batch, preparation, all_steps, sums, seed = recipe
    random = np.random.default_rng(seed)
    circuit, labels = Circuit(n_qubits), {"data": [], "weight": []}
    if preparation:
        _prepare(circuit, preparation, labels, random)
    for kind, qubits, controls, angles, value in all_steps:
        filled = [_numbered(angle, labels) for angle in angles]
        _append(circuit, kind, qubits, controls, filled, value, random)
    return Case(circuit, *fill(circuit, batch, random), [_observable(terms) for terms in sums])


def fill(circuit: Circuit, batch: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random data (B, D) and weights (W,) for a circuit, normalised where they are amplitudes."""
    data = random.normal(scale=2.0, size=(batch, circuit.n_data))
    weights = random.normal(scale=2.0, size=circuit.n_weights)
    for operation in circuit.operations:
        if operation.is_preparation and operation.slots:
            places = [slot.index for slot in operation.slots]
            data[:, places] /= np.linalg.norm(data[:, places], axis=1, keepdims=True)
    return data, weights


def _prepare(circuit: Circuit, preparation: Any, labels: dict[str, list[Any]], random: np.random.Generator) -> None:
    qubits, source = preparation
    side = 2 ** len(qubits)
    if source == "constant":
        amplitudes = random.normal(size=side) + 1j * random.normal(size=side)
        circuit.prepare(amplitudes / np.linalg.norm(amplitudes), qubits)
        return
    count = 2 * side if source == "data_complex" else side
    circuit.prepare_slots([_numbered(("data", f"amplitude {index}"), labels) for index in range(count)], qubits)


def _append(
    circuit: Circuit,
    kind: str,
    qubits: tuple[int, ...],
    controls: tuple[int, ...],
    angles: list[Any],
    value: Any,
    random: np.random.Generator,
) -> None:
    side = 2 ** len(qubits)
    if kind == "unitary":
        circuit.unitary(random_unitary(side, random), qubits, controls=controls)
    elif kind in STRINGS:
        getattr(circuit, kind)(*angles, value, qubits, controls=controls)
    elif kind == "post_select":
        circuit.post_select(*qubits, value)
    elif kind == "kraus":
        circuit.kraus(random_kraus(side, 3, random), qubits)
    elif kind == "depolarizing_2":
        circuit.noise(channels.depolarizing(value, n_qubits=2), qubits)
    elif kind in CHANNELS:
        circuit.noise(CHANNELS[kind](value), qubits)
    elif kind in (*CONTROLLED, *MID_CIRCUIT_KINDS):
        getattr(circuit, kind)(*qubits)
    else:
        getattr(circuit, kind)(*angles, *qubits, controls=controls)


def _numbered(angle: tuple[str, Any], labels: dict[str, list[Any]]) -> float | Slot:
    kind, label = angle
    if kind == "const":
        return label
    if label not in labels[kind]:
        labels[kind].append(label)
    return Slot(kind, labels[kind].index(label))


def _observable(terms: tuple[tuple[float, str], ...]) -> Observable:
    return sum((coefficient * observable({string: 1.0}) for coefficient, string in terms), start=Observable(()))


def random_unitary(side: int, random: np.random.Generator) -> np.ndarray:
    """A random unitary: the orthogonal factor of a complex Gaussian matrix."""
    return np.linalg.qr(random.normal(size=(side, side)) + 1j * random.normal(size=(side, side)))[0]


def random_kraus(side: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Random Kraus operators: the blocks of an isometry, so that sum K^dagger K is the identity."""
    return random_unitary(count * side, random)[:, :side].reshape(count, side, side)
