"""Conditions on measured bits: what they say, and how they are written.

A condition is a set of cases of which at most one holds. A case names outcomes of measurements with the values that
they must have. Outcomes are numbered through the program, so that a bit that is measured again leaves earlier
conditions as they are.
"""

from collections.abc import Callable, Sequence

from circuits.openqasm.angles import Expression
from circuits.openqasm.calls import Scope
from circuits.openqasm.limits import SIZE_PER_OPERATION, refused
from circuits.openqasm.syntax import Cursor, Token

Case = tuple[tuple[int, int], ...]  # pairs (outcome, value), ascending
Condition = tuple[Case, ...]
ALWAYS: Condition = ((),)
NEVER: Condition = ()
LARGEST = 2**53  # whole number that a float holds exactly
MAX_DIGITS = 4000  # of a number; Python itself refuses to read more
PRECEDENCE = {"||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "!": 6}
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def outcome(number: int) -> Condition:
    """Return the condition that an outcome is 1."""
    return (((number, 1),),)


def size_of(condition: Condition) -> int:
    """Return how many operations a condition counts as."""
    return len(condition) + sum(map(len, condition)) // SIZE_PER_OPERATION


class Logic:
    """The algebra of conditions; `spend` counts its work as operations before it is done."""

    def __init__(self, spend: Callable[[int], None]) -> None:
        self.spend = spend

    def both(self, left: Condition, right: Condition) -> Condition:
        """Return the condition that both hold."""
        if ALWAYS in (left, right):
            return right if left == ALWAYS else left
        self.spend(size_of(left) * size_of(right))
        joined = (_joined(one, other) for one in left for other in right)
        return tuple(case for case in joined if case is not None)

    def negated(self, condition: Condition) -> Condition:
        """Return the condition that it does not hold."""
        result = ALWAYS
        for case in condition:
            self.spend(size_of((case,)) * len(case))
            others = tuple((*case[:k], (case[k][0], 1 - case[k][1])) for k in range(len(case)))
            result = self.both(result, others)
        return result

    def either(self, left: Condition, right: Condition) -> Condition:
        """Return the condition that at least one holds."""
        return left + self.both(self.negated(left), right)

    def compared(self, bits: Sequence[Condition], comparison: str, number: int) -> Condition:
        """Return the condition that a register, its lowest bit first, compares so to a whole number."""
        if comparison in ("<=", ">"):
            number += 1
        if comparison == "!=":
            return self.negated(self.compared(bits, "==", number))
        if comparison in (">", ">="):
            return self.negated(self.compared(bits, "<", number))
        below, equal = NEVER, ALWAYS
        if not 0 <= number < 2 ** len(bits):
            return ALWAYS if comparison != "==" and number > 0 else NEVER
        wanted = [number >> place & 1 for place in range(len(bits))]
        if comparison == "==":
            return self.all_of(bits, wanted)
        for place in reversed(range(len(bits))):
            zero = self.negated(bits[place])
            below += self.both(equal, zero) if wanted[place] else NEVER
            equal = self.both(equal, bits[place] if wanted[place] else zero)
        return below

    def all_of(self, bits: Sequence[Condition], wanted: Sequence[int]) -> Condition:
        """Return the condition that each bit has its value."""
        self.spend(len(bits) // SIZE_PER_OPERATION)
        pairs = dict[int, int]()
        for bit, value in zip(bits, wanted, strict=True):
            if bit in (ALWAYS, NEVER):
                if value != (bit == ALWAYS):
                    return NEVER
                continue
            (((number, _),),) = bit
            pairs[number] = value
        return (tuple(sorted(pairs.items())),)


def _joined(left: Case, right: Case) -> Case | None:
    pairs = dict(left)
    for number, value in right:
        if pairs.setdefault(number, value) != value:
            return None
    return tuple(sorted(pairs.items()))


class ConditionParser:
    """Reads the condition of an `if` up to its closing bracket; operators wait for their right operand."""

    def __init__(self, cursor: Cursor, scope: Scope, bits: dict[str, list[Condition]]) -> None:
        self.cursor, self.scope, self.bits = cursor, scope, bits
        self.line = cursor.here.line
        self.logic = Logic(lambda count: scope.limits.spend(count, self.line))
        self.values: list[Condition] = []
        self.waiting: list[str] = []
        self.depth = 1

    def read(self) -> Condition:
        """Return the condition; its opening bracket has been read."""
        while True:
            while self.prefix():
                pass
            self.comparison()
            while self.depth and self.cursor.accept(")"):
                self.close()
                self.truth()
            if not self.depth:
                return self.values.pop()
            token = self.cursor.next()
            if token.kind != "symbol" or token.text not in PRECEDENCE or token.text == "!":
                raise refused(token.line, "have ')' here", repr(token.text))
            self.apply_above(PRECEDENCE[token.text] - 1)
            self.waiting.append(token.text)

    def prefix(self) -> bool:
        token = self.cursor.here
        if token.kind != "symbol" or token.text not in ("(", "!", "~"):
            return False
        self.cursor.next()
        if token.text == "(":
            self.depth += 1
            self.scope.limits.require_depth(self.depth, token.line, "brackets")
            self.waiting.append("(")
        elif self.waiting and self.waiting[-1] == "!":
            self.waiting.pop()
        else:
            self.waiting.append("!")
        return True

    def close(self) -> None:
        self.apply_above(0)
        if self.waiting:
            self.waiting.pop()
        self.depth -= 1

    def truth(self) -> None:
        """Read `== true` and the like behind a bracket."""
        token = self.cursor.here
        if not self.depth or not self.cursor.accept("==", "!="):
            return
        constant = self.cursor.next()
        if constant.text not in ("true", "false", "0", "1"):
            raise refused(constant.line, "compare what is in brackets with true or false", repr(constant.text))
        if (token.text == "==") != (constant.text in ("true", "1")):
            self.values.append(self.logic.negated(self.values.pop()))

    def apply_above(self, precedence: int) -> None:
        while self.waiting and PRECEDENCE.get(self.waiting[-1], 0) > precedence:
            operator, right = self.waiting.pop(), self.values.pop()
            if operator == "!":
                self.values.append(self.logic.negated(right))
                continue
            left = self.values.pop()
            if operator in ("&&", "&"):
                self.values.append(self.logic.both(left, right))
            elif operator in ("||", "|"):
                self.values.append(self.logic.either(left, right))
            else:
                first = self.logic.both(left, self.logic.negated(right))
                self.values.append(first + self.logic.both(self.logic.negated(left), right))

    def comparison(self) -> None:
        """Read a bit, or a register that is compared to a number."""
        token = self.cursor.here
        if token.text in ("true", "false") and self.cursor.accept("true", "false"):
            self.values.append(ALWAYS if token.text == "true" else NEVER)
            return
        name = self.cursor.name()
        if name not in self.bits:
            raise refused(token.line, "have conditions on declared bits", repr(name))
        bits = self.element(name, token) if self.cursor.accept("[") else self.bits[name]
        here = self.cursor.here
        if here.kind == "symbol" and here.text in COMPARISONS:
            self.cursor.next()
            self.values.append(self.logic.compared(bits, here.text, self.number(bits)))
        else:
            self.values.append(bits[0] if len(bits) == 1 else self.logic.compared(bits, "!=", 0))

    def element(self, name: str, token: Token) -> list[Condition]:
        index = Expression(self.cursor, self.scope.names, self.scope.limits).integer(self.scope.names)
        self.cursor.expect("]")
        if not 0 <= index < len(self.bits[name]):
            raise refused(token.line, f"have an index in 0..{len(self.bits[name]) - 1} for {name}", f"{index}")
        return self.bits[name][index : index + 1]

    def number(self, bits: Sequence[Condition]) -> int:
        token = self.cursor.here
        if token.kind == "text":
            self.cursor.next()
            digits = token.text[1:-1]
            if set(digits) - {"0", "1"} or len(digits) != len(bits):
                raise refused(token.line, f"compare with {len(bits)} digits 0 and 1", token.text)
            return int(digits, 2)
        following = self.cursor.tokens[self.cursor.place + 1]  # there is one: the end of the text
        if token.text.isdecimal() and following.text in (")", "&&", "||") and len(token.text) <= MAX_DIGITS:
            return int(self.cursor.next().text)  # exactly, however large
        result = Expression(self.cursor, self.scope.names, self.scope.limits).integer(self.scope.names)
        if abs(result) > LARGEST:
            raise refused(token.line, "compute whole numbers up to 2**53", "a larger one")
        return result
