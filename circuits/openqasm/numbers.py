"""Numbers with names: constants, numbers that statements change, and copies of registers.

A number that is changed under a condition on bits has its value in the branches in which that condition holds. Where
the program goes on in others too, it is unknown, and refused if it is used.
"""

from circuits.openqasm.angle_parser import DEFAULT_WIDTH, LARGEST, GlobalConstant
from circuits.openqasm.angles import Expression
from circuits.openqasm.blocks import TYPES, WHOLE, Block, Hidden, NumberType, read_type
from circuits.openqasm.conditions import ALWAYS, NEVER, Condition, Logic
from circuits.openqasm.declarations import DeclarationReader
from circuits.openqasm.limits import refused
from circuits.openqasm.switches import CASTS, read_target
from circuits.openqasm.syntax import Token
from circuits.steps import LinearAngle

ASSIGNMENTS = ("+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^")  # in front of the sign =


class NumberReader(DeclarationReader):
    """Reads declarations and assignments of numbers; `ProgramReader` reads all statements."""

    def logic(self, token: Token) -> Logic:
        """Return the algebra of conditions, whose work counts for a line."""
        return Logic(lambda count: self.limits.spend(count, token.line))

    def move_to(self, condition: Condition, token: Token) -> None:
        """Go on under a condition, and forget numbers that were changed where it may not hold."""
        self.condition = condition
        for name, valid in list(self.valid.items()):
            logic = self.logic(token)
            if valid != condition and logic.both(condition, logic.negated(valid)) != NEVER:
                self.scope.names.scalars.pop(name, None)
                self.scope.names.unknown.add(name)
                del self.valid[name]

    def constant(self, token: Token) -> None:
        """Read `const float a = 2*pi;`, or a number that statements may change, with or without a first value."""
        if token.text in TYPES:
            self.cursor.place -= 1
        kind, width = read_type(self.cursor)
        if not kind:
            raise refused(token.line, f"have one of the types {', '.join(TYPES)}", repr(self.cursor.here.text))
        name, is_whole = self.cursor.name(), kind in WHOLE
        if token.text == "const":
            self.cursor.expect("=")
            value = self.value(name, NumberType("float", 0), token)
            if value.terms:
                raise refused(token.line, "have constants without inputs", repr(name), "Declare a float or an angle.")
            self.require_type(value, NumberType(kind, width or LARGEST.bit_length()), name, token)
            self.declare(name, value, token, is_whole=is_whole)
            if not self.blocks:
                n_gates = len(self.scope.gates)
                self.scope.names.constants[name] = GlobalConstant(value.constant, is_whole, n_gates)
        else:
            self.variable(name, NumberType(kind, width or round(DEFAULT_WIDTH)), token)
        self.cursor.expect(";")

    def variable(self, name: str, kind: NumberType, token: Token) -> None:
        """Read the first value of a number that statements may change, if it has one."""
        following = self.cursor.tokens[self.cursor.place + 1].text
        if self.cursor.accept("="):
            if kind.kind in CASTS and (following in self.bits or following in self.copies):
                bits = self.copied(name, kind, token)
                self.declare(name, None, token, is_whole=True)
                self.copies[name] = bits
            else:
                value = self.value(name, kind, token)
                self.declare(name, value, token, is_whole=kind.kind in WHOLE)
        else:
            self.declare(name, None, token, is_whole=kind.kind in WHOLE)
        self.changeable[name] = kind

    def copied(self, name: str, kind: NumberType, token: Token) -> list[Condition]:
        """Read a register whose bits a number takes; refuse more than it holds, the sign aside."""
        bits = read_target(self.cursor, self.scope, self.bits, self.copies)
        if len(bits) > kind.width - (kind.kind == "int"):
            fix = f"Declare a uint[{len(bits)}]."
            raise refused(
                token.line, f"keep an {kind.kind} within its {kind.width} bits", f"{len(bits)} for {name!r}", fix
            )
        return bits

    def value(self, name: str, kind: NumberType, token: Token) -> LinearAngle:
        """Read a value of a number of a type."""
        value = Expression(self.cursor, self.scope.names, self.limits).value(self.scope.names)
        self.require_type(value, kind, name, token)
        return value

    def require_type(self, value: LinearAngle, kind: NumberType, name: str, token: Token) -> None:
        """Refuse a value that a type cannot hold."""
        if kind.kind not in WHOLE:
            return
        if value.terms:
            raise refused(token.line, "have constants without inputs", repr(name), "Declare a float or an angle.")
        if value.constant != round(value.constant):
            raise refused(token.line, "give whole numbers to integers", f"{value.constant} for {name!r}")
        lowest, highest = kind.limits
        if not max(lowest, -LARGEST) <= value.constant <= min(highest, LARGEST):
            rule = f"keep {'a bool' if kind.kind == 'bool' else 'an ' + kind.kind} within its {kind.width} bits"
            raise refused(token.line, rule, f"{value.constant:.0f} for {name!r}")

    def declare(self, name: str, value: LinearAngle | None, token: Token, *, is_whole: bool) -> None:
        """Give a name a new meaning in this block; None for a number without a value."""
        block = self.blocks[-1] if self.blocks else None
        self.require_new(name, token, shadows=block is not None and name not in block.declared)
        if block is not None:
            block.declared[name] = self.hidden(name)
        self.set(name, value, is_whole=is_whole)

    def hidden(self, name: str) -> Hidden:
        """Take the meaning of a name away, and return it."""
        names = self.scope.names
        result = Hidden(
            names.scalars.pop(name, None),
            self.copies.pop(name, None),
            self.changeable.pop(name, None),
            self.valid.pop(name, None),
            is_whole=name in names.integers,
        )
        names.integers.discard(name)
        names.unknown.discard(name)
        return result

    def restore(self, name: str, hidden: Hidden, token: Token) -> None:
        """Give a name its meaning outside of a block again."""
        self.hidden(name)
        parts = (hidden.scalar, hidden.copy, hidden.kind, hidden.valid)
        for table, part in zip(
            (self.scope.names.scalars, self.copies, self.changeable, self.valid), parts, strict=True
        ):
            if part is not None:
                table[name] = part  # pyright: ignore[reportArgumentType] - each part is of its own table
        if hidden.is_whole:
            self.scope.names.integers.add(name)
        if hidden.kind is not None and hidden.scalar is None and hidden.copy is None:
            self.scope.names.unknown.add(name)
        if hidden.valid is not None:
            self.move_to(self.condition, token)

    def set(self, name: str, value: LinearAngle | None, *, is_whole: bool) -> None:
        """Give a name a value, which it has in the branches of this condition; None for none."""
        if value is None:
            self.copies[name] = []  # until it is given bits or a number
        else:
            self.scope.names.scalars[name] = value
            self.scope.names.unknown.discard(name)
            self.copies.pop(name, None)
            self.valid.pop(name, None)
            if self.condition not in (ALWAYS, NEVER):
                self.valid[name] = self.condition
        if is_whole:
            self.scope.names.integers.add(name)

    def end_names(self, block: Block) -> None:
        """Give the names that were declared in a block their meanings outside."""
        for name, hidden in block.declared.items():
            self.restore(name, hidden, block.token)
        block.declared.clear()

    def number_assignment(self) -> None:
        """Read `n = c;` for the bits of a register, or `i = i + 1;` and `i += 1;` for a number that is known."""
        token, names = self.cursor.here, self.scope.names
        name, start = self.cursor.name(), self.cursor.here
        sign = self.cursor.next().text if start.text in ASSIGNMENTS else ""
        self.cursor.expect("=")
        kind = self.changeable[name]
        targets = self.cursor.here.text in self.bits or bool(self.copies.get(self.cursor.here.text))
        if not sign and kind.kind in CASTS and (targets or self.is_cast_of_bits()):
            if self.condition != ALWAYS:
                raise refused(token.line, "copy registers outside of conditions on bits", repr(name))
            bits = self.copied(name, kind, token)
            self.hidden(name)
            self.changeable[name], self.copies[name] = kind, bits
            names.integers.add(name)
        else:
            if sign and name not in names.scalars:
                raise refused(token.line, "add to numbers that are known", repr(name))
            # a *= b + c is a = a * (b + c): one text for both.
            value = self.value(name, kind, token) if not sign else self.changed(name, sign, kind, token)
            if self.condition != NEVER:
                self.set(name, value, is_whole=kind.kind in WHOLE)
        self.cursor.expect(";")

    def is_cast_of_bits(self) -> bool:
        """Tell whether `int[4](c)` stands here, of a register c."""
        if self.cursor.here.text not in CASTS:
            return False
        place = self.cursor.place + 1
        while self.cursor.tokens[place].text != "(" and self.cursor.tokens[place].text in ("[", "]", *"0123456789"):
            place += 1
        inner = self.cursor.tokens[min(place + 1, len(self.cursor.tokens) - 1)].text
        return inner in self.bits or bool(self.copies.get(inner)) or inner in CASTS

    def changed(self, name: str, sign: str, kind: NumberType, token: Token) -> LinearAngle:
        """Read the right side of `i += 1`, and return the new value."""
        expression = Expression(self.cursor, self.scope.names, self.limits)
        value = expression.combined(sign, self.scope.names.scalars[name], self.scope.names)
        self.require_type(value, kind, name, token)
        return value
