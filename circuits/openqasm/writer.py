"""Circuits to and from OpenQASM text.

Qubit k is `q[k]`. Slots are inputs, `data_0` and `weight_0` for data(0) and weight(0). Gates that the
standard library lacks are defined in the text. A post-selection is a measurement into the register
`post_select` under the annotation `@qml.post_select`, which other tools may ignore: they must then keep the
runs in which that bit has the annotated value.

Reference:
    OpenQASM 3 live specification, https://openqasm.com; Cross et al., arXiv:2104.14722. Version 2: Cross, Bishop,
    Smolin and Gambetta, arXiv:1707.03429.
"""

from collections.abc import Iterable
from typing import Any

from circuits import gates
from circuits._checks import as_int, require_choice
from circuits.circuit import Circuit
from circuits.computed import ComputedCircuit
from circuits.multiplexed import prepare_by_rotations
from circuits.openqasm.definitions import Definitions
from circuits.openqasm.expressions import slot_names
from circuits.openqasm.gates import FIXED, rotation_definition
from circuits.openqasm.limits import ReaderLimits
from circuits.openqasm.reader import ProgramReader
from circuits.openqasm.writer_2 import Version2Writer
from circuits.operation import Operation
from circuits.slots import Angle, Slot

GATE_NAMES: dict[gates.UnitaryGate, str] = {**{gate: name for name, gate in FIXED.items()}, gates.Phase(): "p"}
# Names in stdgates.inc by (name without controls, number of controls); all others are written with `ctrl @`.
STANDARD = {(name, 0): name for name in ("x", "y", "z", "h", "s", "sdg", "t", "tdg", "swap", "rx", "ry", "rz", "p")} | {
    (name, 1): "c" + name for name in ("x", "y", "z", "h", "swap", "rx", "ry", "rz", "p")
}
STANDARD["x", 2] = "ccx"
DEFAULT_OPERATIONS = 250_000


def to_openqasm(circuit: Circuit | ComputedCircuit, *, version: int = 3) -> str:
    """Write the circuit as an OpenQASM program.

    Constant amplitudes and matrices are written as plain gates (exactly, the global phase included), so that
    `from_openqasm` gives back the same unitary, and mostly the same operations.

    Args:
        circuit: any circuit without noise. The angles of a `ComputedCircuit` are written as expressions of the inputs
            data_0, data_1, ... and of all weights by their common numbers; `computed_from_openqasm` reads them.
        version: of the language, 3 or 2. Version 2 has no slots and no post-selection; gates under many controls are
            written as gates under one or two, and a global phase as four gates.

    Raises:
        ValueError: amplitudes from slots, or noise, which the language cannot say; in version 2 any slot, or a
            post-selection.

    Example:
        >>> from circuits import Circuit, weight
        >>> print(to_openqasm(Circuit(2).ry(weight(0), 0).cx(0, 1)))
        OPENQASM 3.0;
        include "stdgates.inc";
        input float[64] weight_0;
        qubit[2] q;
        ry(weight_0) q[0];
        cx q[0], q[1];
        <BLANKLINE>
    """
    require_choice(version, "version", (2, 3))
    computed = circuit if isinstance(circuit, ComputedCircuit) else None
    circuit = circuit.circuit if isinstance(circuit, ComputedCircuit) else circuit
    if version == 2:
        return Version2Writer().text(circuit)
    n_inputs, n_weights = (
        (circuit.n_data, circuit.n_weights) if computed is None else (computed.n_inputs, computed.n_weights)
    )
    inputs = [f"data_{k}" for k in range(n_inputs)] + [f"weight_{k}" for k in range(n_weights)]
    writer = _OpenQASMWriter({} if computed is None else slot_names(computed))
    names = [f"q[{k}]" for k in range(circuit.n_qubits)]
    body = [line for op in circuit for line in writer.lines(op, names)]
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', *(f"input float[64] {name};" for name in inputs)]
    lines += writer.definitions.values()
    lines.append(f"qubit[{circuit.n_qubits}] q;")
    if circuit.n_bits:
        lines.append(f"bit[{circuit.n_bits}] c;")
    if writer.n_post_selected:
        lines.append(f"bit[{writer.n_post_selected}] post_select;")
    return "\n".join([*lines, *body]) + "\n"


def from_openqasm(
    text: str,
    *,
    data: Iterable[str] = (),
    max_operations: int | None = None,
    max_qubits: int = 100_000,
    max_depth: int = 256,
) -> Circuit:
    """Read the circuit of an OpenQASM 2 or 3 program.

    Both versions: the gates of the standard library (stdgates.inc, qelib1.inc); gate definitions, which are inlined;
    registers and broadcasting over them; reset, measure, and barrier, which leaves nothing; `if` on measured bits.
    Version 3: `ctrl @`, `negctrl @`, `inv @`, and `pow(k) @` for whole k from -1000 to 1000 and, for gates of constants
    on up to five qubits, for any k in between (the principal power); gphase; float and angle inputs and constants;
    angles that are linear in the inputs (`computed_from_openqasm` reads polynomials and functions); numbers that
    statements change; operators and casts of constants; `let` aliases, slices and sets of registers; `for` over
    constant ranges and sets; `while`, `break`, `continue` and `end`, on measured bits too where a known number bounds
    the runs; `else`; `switch` on measured bits and known numbers; `box` and `delay`, which leave nothing. A text
    without a version is version 3.

    Inputs called `data_k` and `weight_k` are these slots; others become weights in the order of their
    declaration. `U` is P(phi) RY(theta) P(lambda) as in version 3.0; a text that declares version 3.1 gets
    that version's further phase exp(i theta / 2). In version 2 u2 and u3 are this U too, as Qiskit reads them.

    What stands under `if` is controlled by the qubit that was measured, or, where a gate has changed that since, by a
    fresh qubit to which the outcome was copied: the circuit is exact, and has these qubits behind those of the program.
    A reset or a measurement under `if` takes a fresh qubit as well. Bits that nothing has written are 0.

    A short text can describe a very large circuit (gates that double, powers, broadcasts). Time and memory
    grow linearly with the text and with the operations that it is written out to, and a program that is too large is
    refused before it is written out.

    Args:
        text: the program.
        data: names of inputs that become data slots instead, in this order.
        max_operations: the most operations of the circuit, calls of defined gates included (default: 250000,
            or the number of characters of the text if that is larger). Gates on more than 32 qubits, calls
            of more than 32 tokens in definitions, and long sums of inputs count several times.
        max_qubits: the most qubits, and the most classical bits, that the text may declare.
        max_depth: the most levels of gates that are defined by gates, and of brackets in an angle.

    Raises:
        ValueError: anything else (loops without a bound, subroutines, pulses, ...), with the number of its line; or
            a program beyond one of the limits, which the error names.
        TypeError: `text` or a name in `data` is not a str, or a limit is not an int.
    """
    reader = _reader(text, data, (max_operations, max_qubits, max_depth), is_computed=False)
    return reader.circuit()


def computed_from_openqasm(
    text: str,
    *,
    data: Iterable[str] = (),
    max_operations: int | None = None,
    max_qubits: int = 100_000,
    max_depth: int = 256,
) -> ComputedCircuit:
    """Read an OpenQASM program whose angles are polynomials of its inputs and of functions of them.

    The circuit knows only angles; each angle that is not linear in the inputs becomes a data slot with a polynomial, of
    a degree of at most 32. A weight that occurs in a polynomial is a weight of the polynomials. Functions are sin, cos,
    tan, arcsin, arccos, arctan, exp, log, sqrt, quotients, and powers that are not whole, of a positive base.

    Args:
        text: the program; see `from_openqasm`.
        data: names of inputs that become inputs of the polynomials, in this order.
        max_operations: as for `from_openqasm`; products of polynomials count their terms.
        max_qubits: as for `from_openqasm`.
        max_depth: as for `from_openqasm`.

    Raises:
        ValueError: as `from_openqasm`; more than 32 functions in each other, or an expression of more than 10000 parts.
        TypeError: as `from_openqasm`.

    Example:
        >>> text = "OPENQASM 3.0; input float[64] data_0; input float[64] data_1; qubit q; U(data_0*data_1, 0, 0) q;"
        >>> computed_from_openqasm(text).angles
        (x0*x1,)
    """
    reader = _reader(text, data, (max_operations, max_qubits, max_depth), is_computed=True)
    return reader.computed_circuit()


def _reader(text: Any, data: Any, most: tuple[int | None, int, int], *, is_computed: bool) -> ProgramReader:
    if not isinstance(text, str):
        raise TypeError(f"Argument `text` must be a str, but is {type(text).__name__}.")
    names = [] if isinstance(data, str) else list(data)
    if isinstance(data, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"Argument `data` must hold names of inputs, but is {data!r}. Pass a list of str.")
    max_operations, max_qubits, max_depth = most
    limits = ReaderLimits(
        as_int(max(DEFAULT_OPERATIONS, len(text)) if max_operations is None else max_operations, "max_operations", 1),
        as_int(max_qubits, "max_qubits", minimum=1),
        as_int(max_depth, "max_depth", minimum=1),
    )
    return ProgramReader(text, names, limits, is_computed=is_computed)


class _OpenQASMWriter:
    """Writes operations; `slots` holds the texts of slots that are no inputs of their own."""

    def __init__(self, slots: dict[Slot, str]) -> None:
        self.slots = slots
        self.definitions = Definitions()
        self.n_post_selected = 0

    def lines(self, op: Operation, names: list[str]) -> list[str]:
        """Return the statements of an operation on qubits called `names`."""
        place = names[op.qubits[0]]
        match op.gate:
            case gates.UnitaryGate():
                return [line for part in op.elementary() for line in self.gate(part, part.gate, names)]
            case gates.Reset():
                return [f"reset {place};"]
            case gates.Measure(bit):
                return [f"c[{bit}] = measure {place};"]
            case gates.PostSelect(value):
                self.n_post_selected += 1
                target = f"post_select[{self.n_post_selected - 1}]"
                return [f"@qml.post_select {value}", f"{target} = measure {place};"]
            case gates.StatePreparation(_, gates.Array() as amplitudes):
                parts = prepare_by_rotations(Circuit(len(names)), amplitudes.values, op.qubits)
                return [line for part in parts for line in self.lines(part, names)]
            case gates.StatePreparation():
                raise ValueError(
                    "Argument `circuit` must have constant amplitudes to be written as OpenQASM, but "
                    "prepares them from slots. Call Circuit.bind first."
                )
        raise ValueError(
            f"Argument `circuit` must be free of noise to be written as OpenQASM, but has {op.name} on "
            f"{op.qubits}. Leave the noise to the backend that runs the program."
        )

    def gate(self, op: Operation, gate: gates.Gate, names: list[str]) -> list[str]:
        """Return the statements of an elementary gate: its own, or those of its parts."""
        if isinstance(gate, gates.PauliRotation):
            return [self.rotation(gate, op, names)]
        if isinstance(gate, gates.UnitaryGate) and gate in GATE_NAMES:
            angle = f"({self.number(op.angles[0])})" if op.angles else ""
            return [_call(GATE_NAMES[gate], angle, op.qubits, op.controls, names)]
        if isinstance(gate, gates.ConstantGate):
            return [_call(self.definitions.unitary(gate, self.lines), "", op.qubits, op.controls, names)]
        return [line for part in op.parts() for line in self.lines(part, names)]

    def number(self, angle: Angle, scale: float = 1.0) -> str:
        """Return an angle, which is multiplied by a number."""
        if not isinstance(angle, Slot):
            return repr(float(scale * angle))
        name = self.slots.get(angle, f"{angle.kind}_{angle.index}")
        return name if scale == 1.0 else f"{float(scale)!r}*{name}"

    def rotation(self, gate: gates.PauliRotation, op: Operation, names: list[str]) -> str:
        pairs = [(letter, qubit) for letter, qubit in zip(gate.pauli, op.qubits, strict=True) if letter != "I"]
        letters, qubits = "".join(letter for letter, _ in pairs), tuple(qubit for _, qubit in pairs)
        if not letters and not op.controls:
            return f"gphase({self.number(op.angles[0], gate.factor)});"
        if not letters:  # a phase under controls is a phase gate on the last of them
            angle = f"({self.number(op.angles[0], gate.factor)})"
            return _call("p", angle, op.controls[-1:], op.controls[:-1], names)
        if len(letters) > 1:
            self.definitions[letters] = rotation_definition(letters)
        angle = f"({self.number(op.angles[0], -2.0 * gate.factor)})"
        return _call("r" + letters.lower(), angle, qubits, op.controls, names)


def _call(name: str, angle: str, qubits: tuple[int, ...], controls: tuple[int, ...], names: list[str]) -> str:
    count = len(controls)
    prefix, written = "", STANDARD.get((name, count))
    if written is None:
        prefix = "" if not count else "ctrl @ " if count == 1 else f"ctrl({count}) @ "
        written = name
    return f"{prefix}{written}{angle} {', '.join(names[qubit] for qubit in (*controls, *qubits))};"
