"""The gates that a written program defines for itself."""

from collections.abc import Callable

from circuits import gates
from circuits.operation import Operation
from circuits.two_level import unitary_by_gates


class Definitions(dict[object, str]):
    """The gates that a program defines, by what they define, in the order of their use."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[gates.Array, str] = {}

    def unitary(self, gate: gates.ConstantGate, write: Callable[[Operation, list[str]], list[str]]) -> str:
        """Return the name of a constant gate, defined once for each matrix; `write` gives a part's statements."""
        matrix = gates.Array.of(gate.matrix_at())
        if matrix not in self.names:
            letters = [f"q{k}" for k in range(gate.n_qubits)]
            name = f"unitary_{len(self.names)}"
            parts = [line for part in unitary_by_gates(matrix.values) for line in write(part, letters)]
            body = "".join(f"  {line}\n" for line in parts)
            self.names[matrix] = name
            self[matrix] = f"gate {name} {', '.join(letters)} {{\n{body}}}"
        return self.names[matrix]
