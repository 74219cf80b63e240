"""The unitary gates of this package, and the methods by which a circuit gets them.

Conventions, the same in the whole package: qubit 0 is the most significant bit, RX(t) = exp(-i t X / 2), angles are in
radians, Pauli strings read the first of their qubits first. `exp_pauli` alone follows Farhi and Neven
(arXiv:1802.06002, section 2): exp(+i t P), that is, the rotation about P by -2 t.

A new gate is a class here, whose kind `circuits.gate_kinds` explains, and a method of `GateMethods`; its names in other
packages stand in the converters to them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from circuits import _checks
from circuits.gate import Array, Gate, GatePart, UnitaryGate
from circuits.gate_kinds import (
    CompositeGate,
    ConstantGate,
    ExponentialGate,
    PauliRotation,
    ScaledGate,
    Unitary,
    gate_matrix,
    trigonometric_form,
)
from circuits.generators import PAULIS, Frequencies, TrigonometricForm, pauli_matrix
from circuits.not_unitary import Channel, KrausGate, Measure, PostSelect, Reset, StatePreparation
from circuits.slots import Angle

__all__ = [
    "FIXED_INVERSES", "FIXED_MATRICES", "PAULIS", "U3", "Array", "Channel", "CompositeGate", "ConstantGate",
    "ExponentialGate", "Fixed", "Frequencies", "Gate", "GateMethods", "GatePart", "KrausGate", "Measure",
    "PauliRotation", "Phase", "PostSelect", "Qubits", "Reset", "ScaledGate", "StatePreparation", "TrigonometricForm",
    "Unitary", "UnitaryGate", "XXPlusYY", "gate_matrix", "pauli_matrix", "trigonometric_form",
]  # fmt: skip

FIXED_MATRICES = {
    "x": PAULIS["X"],
    "y": PAULIS["Y"],
    "z": PAULIS["Z"],
    "h": (PAULIS["X"] + PAULIS["Z"]) / np.sqrt(2),
    "s": np.diag([1, 1j]),
    "sdg": np.diag([1, -1j]),
    "t": np.diag([1, np.exp(0.25j * np.pi)]),
    "tdg": np.diag([1, np.exp(-0.25j * np.pi)]),
    "swap": np.eye(4, dtype=complex)[[0, 2, 1, 3]],
}
FIXED_INVERSES = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t"}
FIXED_TITLES = {"sdg": "S†", "tdg": "T†"}

Qubits = int | Iterable[int]
C = TypeVar("C", bound="GateMethods")


@dataclass(frozen=True)
class Fixed(ConstantGate):
    """A gate without angles, by its name in `FIXED_MATRICES`."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in FIXED_MATRICES:
            raise ValueError(f"Argument `name` must be one of {', '.join(FIXED_MATRICES)}, but is {self.name!r}.")

    @property
    def n_qubits(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the number of qubits without controls."""
        return 2 if self.name == "swap" else 1

    def title(self, angles: Sequence[str]) -> str:
        """Return the name in upper case, or with a dagger."""
        return FIXED_TITLES.get(self.name, self.name.upper())

    def matrix_at(self, *angles: float) -> np.ndarray:
        """Return the matrix."""
        return FIXED_MATRICES[self.name]

    def inverse(self) -> "Fixed":
        """Return the inverse, which has a name too."""
        return Fixed(FIXED_INVERSES.get(self.name, self.name))


@dataclass(frozen=True)
class Phase(ExponentialGate):
    """The gate diag(1, exp(i t))."""

    name = "p"
    n_qubits = 1

    @property
    def generator(self) -> np.ndarray:
        """Return -|1><1|."""
        return np.diag([0.0, -1.0]).astype(complex)


@dataclass(frozen=True)
class XXPlusYY(ScaledGate):
    """The exchange interaction exp(-i t (XX + YY) / 4), a rotation by t of |01> and |10> into each other."""

    name = "xx_plus_yy"
    symbol = "XX+YY"
    n_qubits = 2

    @property
    def unscaled_generator(self) -> np.ndarray:
        """Return (XX + YY) / 4."""
        return (pauli_matrix("XX") + pauli_matrix("YY")) / 4


@dataclass(frozen=True)
class U3(CompositeGate):
    """The general one-qubit gate P(phi) RY(theta) P(lam), its three angles in the order theta, phi, lam."""

    name = "u3"
    n_qubits = 1
    n_angles = 3
    inverse_order = (0, 2, 1)

    def parts(self) -> tuple[GatePart, ...]:
        """Return P(lam), RY(theta) and P(phi)."""
        return GatePart(Phase(), (0,), (2,)), GatePart(PauliRotation("Y"), (0,), (0,)), GatePart(Phase(), (0,), (1,))


class GateMethods:
    """The methods of a circuit that append a unitary gate; each returns the circuit and takes `controls=`."""

    _n_qubits: int

    if not TYPE_CHECKING:  # a type checker should go on finding unknown names

        def __getattr__(self, name: str) -> NoReturn:
            from circuits.other_names import advice

            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}.{advice(name, dir(type(self)))}",
                name=name,
                obj=self,
            )

    def append(self: C, gate: Gate, qubits: Qubits, *, controls: Qubits = (), angles: Sequence[Any] = ()) -> C:
        """Append any gate."""
        raise NotImplementedError

    def _fixed(self: C, name: str, qubits: Qubits, controls: Qubits) -> C:
        return self.append(Fixed(name), qubits, controls=controls)

    def x(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append Pauli X."""
        return self._fixed("x", qubit, controls)

    def y(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append Pauli Y."""
        return self._fixed("y", qubit, controls)

    def z(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append Pauli Z."""
        return self._fixed("z", qubit, controls)

    def h(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append Hadamard's gate."""
        return self._fixed("h", qubit, controls)

    def s(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append diag(1, i)."""
        return self._fixed("s", qubit, controls)

    def sdg(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append diag(1, -i)."""
        return self._fixed("sdg", qubit, controls)

    def t(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append diag(1, exp(i pi/4))."""
        return self._fixed("t", qubit, controls)

    def tdg(self: C, qubit: int, *, controls: Qubits = ()) -> C:
        """Append diag(1, exp(-i pi/4))."""
        return self._fixed("tdg", qubit, controls)

    def swap(self: C, first: int, second: int, *, controls: Qubits = ()) -> C:
        """Append the exchange of two qubits."""
        return self._fixed("swap", (first, second), controls)

    def cx(self: C, control: int, target: int) -> C:
        """Append X on `target` where `control` reads 1."""
        return self.x(target, controls=control)

    def cy(self: C, control: int, target: int) -> C:
        """Append Y on `target` where `control` reads 1."""
        return self.y(target, controls=control)

    def cz(self: C, control: int, target: int) -> C:
        """Append Z on `target` where `control` reads 1."""
        return self.z(target, controls=control)

    def rx(self: C, angle: Angle, qubit: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle X / 2)."""
        return self.pauli_rotation(angle, "X", qubit, controls=controls)

    def ry(self: C, angle: Angle, qubit: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle Y / 2)."""
        return self.pauli_rotation(angle, "Y", qubit, controls=controls)

    def rz(self: C, angle: Angle, qubit: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle Z / 2)."""
        return self.pauli_rotation(angle, "Z", qubit, controls=controls)

    def p(self: C, angle: Angle, qubit: int, *, controls: Qubits = ()) -> C:
        """Append diag(1, exp(i angle))."""
        return self.append(Phase(), qubit, controls=controls, angles=(angle,))

    def u3(self: C, theta: Angle, phi: Angle, lam: Angle, qubit: int, *, controls: Qubits = ()) -> C:
        """Append P(phi) RY(theta) P(lam), the general one-qubit gate."""
        return self.append(U3(), qubit, controls=controls, angles=(theta, phi, lam))

    def rxx(self: C, angle: Angle, first: int, second: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle X X / 2)."""
        return self.pauli_rotation(angle, "XX", (first, second), controls=controls)

    def ryy(self: C, angle: Angle, first: int, second: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle Y Y / 2)."""
        return self.pauli_rotation(angle, "YY", (first, second), controls=controls)

    def rzz(self: C, angle: Angle, first: int, second: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle Z Z / 2)."""
        return self.pauli_rotation(angle, "ZZ", (first, second), controls=controls)

    def rzx(self: C, angle: Angle, first: int, second: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle Z X / 2), Z on `first`."""
        return self.pauli_rotation(angle, "ZX", (first, second), controls=controls)

    def xx_plus_yy(self: C, angle: Angle, first: int, second: int, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle (XX + YY) / 4): Qiskit's `XXPlusYYGate(angle)`, PennyLane's `IsingXY(-angle)`."""
        return self.append(XXPlusYY(), (first, second), controls=controls, angles=(angle,))

    def pauli_rotation(self: C, angle: Angle, pauli: str, qubits: Qubits, *, controls: Qubits = ()) -> C:
        """Append exp(-i angle P / 2): the usual sign and factor. `pauli` reads `qubits` in order."""
        return self.append(PauliRotation(_checks.as_pauli(pauli)), qubits, controls=controls, angles=(angle,))

    def exp_pauli(self: C, angle: Angle, pauli: str, qubits: Qubits, *, controls: Qubits = ()) -> C:
        """Append exp(+i angle P): the sign and factor of Farhi and Neven (arXiv:1802.06002). A rotation by -2 angle."""
        gate = PauliRotation(_checks.as_pauli(pauli), factor=1.0)
        return self.append(gate, qubits, controls=controls, angles=(angle,))

    def unitary(self: C, matrix: Any, qubits: Qubits, *, controls: Qubits = (), label: str = "U") -> C:
        """Append an arbitrary constant unitary, shape (2**k, 2**k) on k qubits, the first the most significant."""
        targets = _checks.as_qubits(qubits, self._n_qubits)
        gate = Unitary(Array.of(_checks.as_unitary(matrix, len(targets))), label)
        return self.append(gate, targets, controls=controls)
