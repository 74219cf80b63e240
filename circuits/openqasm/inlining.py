"""Gate calls of OpenQASM as steps: definitions, modifiers and broadcasts written out.

The body of a definition is read once, when its gate is first called. Definitions inside definitions wait on a
stack of this module, not on Python's; and the size of a call is known before it is written out, so that a
program whose gates double 26 times is refused at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from circuits import steps
from circuits.openqasm.angle_parser import Names
from circuits.openqasm.calls import PLAIN, Call, Definition, Scope, read_call, require_distinct, skip_barrier
from circuits.openqasm.gates import FIXED, defined_rotation, require_counts, standard_gate
from circuits.openqasm.limits import SIZE_PER_OPERATION, refused
from circuits.openqasm.powers import MAX_NESTING, MAX_QUBITS, powered_step
from circuits.openqasm.syntax import Cursor
from circuits.steps import LinearAngle, LinearStep


class _Under(NamedTuple):
    """The modifiers under which a call is written.

    Args:
        controls: all of them, the outermost first.
        is_inverse: whether it is inverted.
        repeats: how often it is written.
        flips: X before and after it, on controls that read 0.
    """

    controls: tuple[int, ...] = ()
    is_inverse: bool = False
    repeats: int = 1
    flips: tuple[LinearStep, ...] = ()


@dataclass
class _Frame:
    """A definition that is being written out, or the program around all definitions.

    Args:
        names: the values of its parameters.
        under: its modifiers.
        inner: the modifiers of calls in it that have none of their own.
        qubits: where its qubits are.
        calls: those of its body that are still to come.
        line: of the call.
        n_steps: number of steps before it.
        n_operations: operations that were counted before it.
    """

    names: Names
    under: _Under
    inner: _Under
    qubits: tuple[int, ...]
    calls: Iterator[Call]
    line: int
    n_steps: int = 0
    n_operations: int = 0


class Inliner:
    """Appends the steps of calls to a list; `depth` counts the powers that are not whole around it."""

    def __init__(self, scope: Scope, result: list[LinearStep], depth: int = 0) -> None:
        self.scope, self.limits, self.steps, self.depth = scope, scope.limits, result, depth
        self.root = _Frame(scope.names, _Under(), _Under(), (), iter(()), line=1)

    def add(self, call: Call) -> None:
        """Append the steps of a call of the program, broadcast over registers."""
        if call.definition is not None:
            _prepare(call.definition, self.scope)
        n_calls = max(map(len, call.operands), default=1)
        self.limits.require_room(n_calls * _size(call), call.token.line)
        for k in range(n_calls):
            qubits = tuple(operand[k % len(operand)] for operand in call.operands)
            if n_calls > 1:
                require_distinct(call.token, qubits)
            self.write(call, qubits)

    def write(self, call: Call, qubits: tuple[int, ...]) -> None:
        """Append the steps of a call on these qubits."""
        first = self.enter(call, qubits, self.root)
        stack = [] if first is None else [first]
        while stack:
            frame = stack[-1]
            inner = next(frame.calls, None)
            if inner is None:
                self.leave(stack.pop())
                continue
            entered = self.enter(inner, tuple(frame.qubits[operand[0]] for operand in inner.operands), frame)
            if entered is not None:
                stack.append(entered)

    def enter(self, call: Call, qubits: tuple[int, ...], outer: _Frame) -> _Frame | None:
        """Append a gate, or return the frame of a definition that is to be written out."""
        under = outer.inner if call.modifiers.is_plain else self.modified(call, qubits, outer)
        targets = qubits[len(under.controls) - len(outer.inner.controls) :]
        self.limits.spend(call.size - 1 + len(under.controls) // SIZE_PER_OPERATION, call.token.line)
        if fractions := call.modifiers.fractions(outer.names):
            self.append([self.powered(call, targets, fractions, outer.names)], call, under)
            return None
        angles = tuple([angle.value(outer.names) for angle in call.angles])
        definition = call.definition
        if definition is None:
            self.append(self.standard(call, angles, targets), call, under)
            return None
        require_counts(call.token, (len(angles), len(targets)), (len(definition.parameters), len(definition.qubits)))
        if definition.rotation is not None:
            self.append([LinearStep(definition.rotation, targets, angles=angles)], call, under)
            return None
        self.limits.spend(1, call.token.line)
        if under.repeats == 0:
            return None
        names = replace(
            self.scope.names, scalars=dict(zip(definition.parameters, angles, strict=True)), arrays={}, unknown=set()
        )
        inner = under._replace(repeats=1, flips=())
        calls = definition.calls or []
        ordered = reversed(calls) if under.is_inverse else iter(calls)
        counted = self.limits.n_operations - 1
        self.steps += under.flips
        return _Frame(names, under, inner, targets, ordered, call.token.line, len(self.steps), counted)

    def standard(self, call: Call, angles: tuple[LinearAngle, ...], targets: tuple[int, ...]) -> list[LinearStep]:
        """Return the steps of a gate of the language or its library."""
        return standard_gate(call.token, angles, targets, self.scope.dialect, is_phased=self.scope.is_phased)

    def powered(self, call: Call, qubits: tuple[int, ...], exponents: list[float], names: Names) -> LinearStep:
        """Return a call under powers that are not whole, as one step."""
        token, count = call.token, len(qubits)
        if count > MAX_QUBITS or self.depth == MAX_NESTING:
            value = f"{count} qubits" if count > MAX_QUBITS else f"more than {MAX_NESTING} such powers in each other"
            rule = f"have powers that are not whole of gates on at most {MAX_QUBITS} qubits"
            raise refused(token.line, rule, value)
        inner = Inliner(self.scope, [], self.depth + 1)
        inner.root = replace(inner.root, names=names)
        bare = call._replace(modifiers=PLAIN, operands=[range(k, k + 1) for k in range(count)])
        inner.write(bare, tuple(range(count)))
        self.limits.spend((len(inner.steps) + 8) * 4**count // SIZE_PER_OPERATION, token.line)
        return powered_step(inner.steps, qubits, exponents, token)

    def modified(self, call: Call, qubits: tuple[int, ...], outer: _Frame) -> _Under:
        """Return the controls, inversion and power that act on a call."""
        counts = [(group.value, group.count(outer.names)) for group in call.modifiers.controls]
        n_controls = sum(count for _, count in counts)
        if len(qubits) < n_controls:
            value = f"{len(qubits)} qubit(s)"
            raise refused(call.token.line, f"name {n_controls} controls for {call.token.text!r}", value)
        values = [value for value, count in counts for _ in range(count)]
        flips = tuple(
            LinearStep(FIXED["x"], (qubit,)) for qubit, value in zip(qubits, values, strict=False) if not value
        )
        self.limits.spend(2 * len(flips), call.token.line)
        exponent = 1 if call.modifiers.fractions(outer.names) else call.modifiers.exponent(outer.names)
        is_inverse = outer.inner.is_inverse != (exponent < 0)
        return _Under(outer.inner.controls + qubits[:n_controls], is_inverse, abs(exponent), flips)

    def append(self, gate_steps: list[LinearStep], call: Call, under: _Under) -> None:
        """Append a gate under modifiers."""
        line, repeats = call.token.line, under.repeats
        n_terms = sum([len(angle.terms) for step in gate_steps for angle in step.angles])
        width = 1 + (len(under.controls) + len(call.operands)) // SIZE_PER_OPERATION
        self.limits.spend((max(len(gate_steps), 1) + 2 * n_terms) * width * repeats, line)
        if under.is_inverse:
            gate_steps = steps.inverted(gate_steps, refuse=lambda kind: refused(line, "invert gates only", kind))
        if under.controls:
            gate_steps = steps.controlled(gate_steps, under.controls)
        if repeats:
            self.steps += under.flips
            self.steps += gate_steps * repeats
            self.steps += under.flips

    def leave(self, frame: _Frame) -> None:
        """Repeat the steps written since a frame was opened, and end it."""
        if frame.under.repeats > 1:
            further = frame.under.repeats - 1
            self.limits.spend(further * (self.limits.n_operations - frame.n_operations), frame.line)
            self.steps += self.steps[frame.n_steps :] * further
        self.steps += frame.under.flips


def _prepare(definition: Definition, scope: Scope) -> None:
    """Read the body of a definition, and of all that it calls, and find its size and depth."""
    waiting = [definition]
    while waiting:
        top = waiting[-1]
        if top.size is not None:
            waiting.pop()
            continue
        calls = _read_body(top, scope) if top.calls is None else top.calls
        inner = [call.definition for call in calls if call.definition is not None]
        unknown = [part for part in inner if part.size is None]
        if unknown:
            waiting += unknown
            continue
        top.depth = 1 + max((part.depth for part in inner), default=0)
        scope.limits.require_depth(top.depth, top.body[0].line, "gates in gates")
        top.size = min(sum(map(_size, calls)), scope.limits.max_operations + 1)


def _read_body(definition: Definition, scope: Scope) -> list[Call]:
    definition.calls = []
    if scope.has_library and scope.gates.keys().isdisjoint(("cx", "h", "rx", "rz")):
        written = definition.body[:-1]
        definition.rotation = defined_rotation(definition.name, definition.parameters, definition.qubits, written)
    if definition.rotation is not None:
        return definition.calls
    inner = Scope(
        scope.limits,
        replace(
            scope.names,
            scalars={name: LinearAngle() for name in definition.parameters},
            arrays={},
            integers=set(),
            unknown=set(),
            n_gates=definition.place,
        ),
        {name: range(k, k + 1) for k, name in enumerate(definition.qubits)},
        scope.gates,
        definition.place,
        dialect=scope.dialect,
        has_library=scope.has_library,
        is_phased=scope.is_phased,
        opaque=scope.opaque,
    )
    cursor = Cursor(definition.body)
    while cursor.here.kind != "end":
        if cursor.accept("barrier"):
            skip_barrier(cursor, inner)
        else:
            definition.calls.append(read_call(cursor, inner))
    return definition.calls


def _size(call: Call) -> int:
    """Return the least number of operations that a call counts as."""
    inner = 0 if call.definition is None else call.definition.size or 0
    return (call.size + inner) * abs(call.modifiers.power)
