"""The structure of a circuit: a key that is equal for circuits that run alike, so that each is converted once.

Numbers belong to the structure; parameters stand for themselves. Qubits and classical bits are known by their numbers.
"""

from collections.abc import Hashable
from typing import Any

import numpy as np
from qiskit.circuit import (
    AnnotatedOperation,
    Clbit,
    ControlFlowOp,
    ControlledGate,
    ForLoopOp,
    IfElseOp,
    ParameterExpression,
    ParameterVector,
    QuantumCircuit,
    Store,
    SwitchCaseOp,
    WhileLoopOp,
    library,
)
from qiskit.circuit.classical import expr
from qiskit.exceptions import QiskitError

STANDARD = "qiskit.circuit.library.standard_gates"
LIFTED = "number"  # stands in a key for one that has been lifted


def circuit_key(circuit: QuantumCircuit, *, lifted: list[float] | None = None) -> Hashable:
    """Return the key of a circuit.

    Args:
        circuit: what runs.
        lifted: takes the numbers in its standard gates, which then are no part of the key; see `template_of`.
    """
    qubits = {qubit: number for number, qubit in enumerate(circuit.qubits)}
    bits: dict[Any, int] = {bit: number for number, bit in enumerate(circuit.clbits)}
    registers = tuple([(register.name, tuple([bits[bit] for bit in register])) for register in circuit.cregs])
    items = []
    for item in circuit.data:
        places = tuple([qubits[qubit] for qubit in item.qubits])
        if item.is_standard_gate():
            params = item.params if lifted is None else [_lift(value, lifted) for value in item.params]
            items.append((item.name, places, tuple(params)))
        else:
            clbits = tuple([bits[bit] for bit in item.clbits])
            items.append((_operation_key(item.operation, bits), places, clbits))
    phase = circuit.global_phase
    return len(qubits), len(bits), registers, phase, tuple(circuit.parameters), tuple(items)


def _lift(value: Any, lifted: list[float]) -> Any:
    if isinstance(value, ParameterExpression) and value.parameters:
        return value
    lifted.append(float(value))
    return LIFTED


def template_of(circuit: QuantumCircuit, count: int) -> QuantumCircuit:
    """Return a circuit with parameters in the place of the numbers in its standard gates, in their order.

    Args:
        circuit: without parameters.
        count: how many numbers there are.
    """
    numbers = iter(ParameterVector("number", count))
    result = circuit.copy_empty_like()
    for item in circuit.data:
        if item.is_standard_gate() and item.params:
            result.append(type(item.operation)(*(next(numbers) for _ in item.params)), item.qubits)
        else:
            result.append(item)
    return result


def _operation_key(  # noqa: PLR0911 - one return a kind of operation
    op: Any, bits: dict[Any, int]
) -> Hashable:
    kind = type(op)
    if isinstance(op, ControlFlowOp):
        blocks = tuple([circuit_key(block) for block in op.blocks])
        return kind, op.name, _control_key(op, bits), blocks
    if isinstance(op, Store):
        return kind, _condition_key(op.lvalue, bits), _condition_key(op.rvalue, bits)
    if isinstance(op, AnnotatedOperation):
        return kind, _operation_key(op.base_op, bits), tuple(map(repr, op.modifiers))
    if isinstance(op, library.PauliEvolutionGate):
        operators: list[Any] = op.operator if isinstance(op.operator, list) else [op.operator]
        return kind, tuple([tuple(map(repr, item.to_sparse_list())) for item in operators]), op.time
    params = tuple([_value_key(value) for value in op.params])
    shell = (kind, op.name, op.num_qubits, op.num_clbits, params)
    if str(kind.__module__).startswith(STANDARD):
        return (*shell, getattr(op, "ctrl_state", None))
    if isinstance(op, ControlledGate):
        return (*shell, op.ctrl_state, _operation_key(op.base_gate, bits))
    definition = _definition(op)
    if definition is not None:
        return (*shell, circuit_key(definition))
    return (*shell, _value_key(op.to_matrix())) if hasattr(op, "__array__") else shell


def _definition(op: Any) -> QuantumCircuit | None:
    """Return the circuit that an instruction stands for.

    Raises:
        ValueError: there is one at bound parameters only, as for RawFeatureVector of qiskit-machine-learning.
    """
    try:
        return getattr(op, "definition", None)
    except QiskitError as error:
        raise ValueError(
            f"Argument `circuit` must hold instructions that are known before their parameters are, but holds "
            f"{op.name} ({error}). Bind it with assign_parameters, and pass each bound circuit in a PUB of its own."
        ) from error


def _value_key(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), np.ascontiguousarray(value).tobytes()
    if isinstance(value, QuantumCircuit):
        return circuit_key(value)
    return value if isinstance(value, Hashable) else repr(value)


def _control_key(op: ControlFlowOp, bits: dict[Any, int]) -> Hashable:
    if isinstance(op, (IfElseOp, WhileLoopOp)):
        return _condition_key(op.condition, bits)
    if isinstance(op, SwitchCaseOp):
        cases = tuple([tuple(map(str, values)) for values, _ in op.cases_specifier()])
        return _condition_key(op.target, bits), cases
    if isinstance(op, ForLoopOp):
        values, parameter, _ = op.params
        return tuple(values), parameter
    return None


def _condition_key(condition: Any, bits: dict[Any, int]) -> Hashable:
    """Return the key of a condition: the numbers of its bits, and the form in which they stand."""
    if isinstance(condition, tuple):
        return _condition_key(condition[0], bits), condition[1]
    if isinstance(condition, Clbit):
        return bits[condition]
    if isinstance(condition, expr.Var):
        return condition.var if condition.standalone else _condition_key(condition.var, bits)
    if isinstance(condition, expr.Expr):
        parts = [getattr(condition, name, None) for name in ("operand", "left", "right", "target", "index")]
        keys = tuple([_condition_key(part, bits) for part in parts if part is not None])
        return type(condition), repr(condition.type), getattr(condition, "op", None), _literal(condition), keys
    return tuple([bits[bit] for bit in condition])


def _literal(condition: expr.Expr) -> Hashable:
    return condition.value if isinstance(condition, expr.Value) else None
