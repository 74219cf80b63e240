"""The light cones of observables: which qubits and operations of a circuit each expectation value depends on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from circuits import Circuit, Observable
from circuits.pictures import axes_of
from qml import checks
from qml.backends import inputs
from qml.simulator.cones import components_of
from qml.simulator.light_cone import light_cone

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LightCone:
    """The part of a circuit on which the expectation value of one Pauli string depends.

    Args:
        observable: number of the observable that the string is a term of.
        components: sets of qubits, ascending, between which no operation of the cone acts; the value is the product of
            theirs. Empty where the value is a constant.
        n_operations: operations in the cone.
    """

    observable: int
    components: tuple[tuple[int, ...], ...]
    n_operations: int

    @property
    def qubits(self) -> tuple[int, ...]:
        """Return the qubits of all components, ascending."""
        return tuple(sorted(qubit for component in self.components for qubit in component))

    @property
    def width(self) -> int:
        """Return the number of qubits of the widest component: the register that the built-in simulator needs."""
        return max(map(len, self.components), default=0)


@dataclass(frozen=True)
class LightCones:
    """The light cones of some observables.

    Args:
        n_qubits: qubits of the circuit.
        cones: one for each Pauli string of each observable, in their order.
    """

    n_qubits: int
    cones: tuple[LightCone, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the width of each cone."""
        return tuple(cone.width for cone in self.cones)

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw a histogram of the widths."""
        axes = axes_of(ax)
        widest = max(self.widths, default=0)
        axes.hist(self.widths, bins=[width - 0.5 for width in range(widest + 2)], rwidth=0.9)
        axes.set(xlabel=f"qubits in the light cone, of {self.n_qubits}", ylabel="Pauli strings")
        return axes.figure  # pyright: ignore[reportReturnType]


def light_cones(circuit: Circuit, observables: Sequence[Observable]) -> LightCones:
    """Find the qubits that each Pauli string of some observables depends on, by the gates and not by the angles.

    A gate that turns the string into one other string (a Clifford gate, a rotation about a string that commutes with
    it) is not in its cone: a simulation moves it into the observable. A circuit of any number of qubits is easy to
    simulate if its cones are narrow. Post-selections, on which every value depends, are in all cones.

    Args:
        circuit: any circuit; of a layer, its `circuit`.
        observables: on qubits of the circuit.

    Raises:
        ValueError: an observable acts on a qubit that the circuit does not have.
        TypeError: the observables are no sequence of Observables.

    Example:
        >>> from circuits import Circuit, Z, weight
        >>> circuit = Circuit(200)
        >>> for qubit in range(200):
        ...     circuit.ry(weight(qubit), qubit)
        >>> for qubit in range(0, 200, 2):
        ...     circuit.cz(qubit, qubit + 1)
        >>> for qubit in range(200):
        ...     circuit.ry(weight(200 + qubit), qubit)
        >>> cones = light_cones(circuit, [Z(7), Z(7) @ Z(9)]).cones
        >>> cones[0].qubits, cones[1].components, cones[1].width
        ((6, 7), ((6, 7), (8, 9)), 2)

    Reference:
        Lieb and Robinson, doi:10.1007/BF01645779, bound such cones; here they are followed gate by gate.
    """
    checks.require_kind(circuit, "circuit", Circuit)
    chosen = inputs.as_observables(observables, circuit.n_qubits)
    cones = [
        _cone(circuit, number, dict(string))
        for number, observable in enumerate(chosen)
        for _, string in observable.terms
    ]
    return LightCones(circuit.n_qubits, tuple(cones))


def _cone(circuit: Circuit, observable: int, string: dict[int, str]) -> LightCone:
    kept = light_cone(circuit, [string]).operations
    components = (
        tuple(sorted({qubit for number in group for qubit in circuit.operations[number].all_qubits}))
        for group in components_of(circuit.operations, kept)
    )
    return LightCone(observable, tuple(sorted(components)), len(kept))
