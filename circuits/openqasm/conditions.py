"""Conditions on measured bits: what they say, and how they are written.

A condition is a set of cases of which at most one holds. A case names outcomes of measurements with the values that
they must have. Outcomes are numbered through the program, so that a bit that is measured again leaves earlier
conditions as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from circuits.openqasm.angle_parser import AngleParser, as_whole
from circuits.openqasm.angles import COMPARISONS as OPERATORS
from circuits.openqasm.angles import WHOLE, Expression
from circuits.openqasm.calls import Scope
from circuits.openqasm.limits import SIZE_PER_OPERATION, refused
from circuits.openqasm.registers import picked, read_places
from circuits.openqasm.syntax import Cursor, Token

Case = tuple[tuple[int, int], ...]  # pairs (outcome, value), ascending
Condition = tuple[Case, ...]
ALWAYS: Condition = ((),)
NEVER: Condition = ()
LARGEST = 2**53  # whole number that a float holds exactly
MAX_DIGITS = 4000  # of a number; Python itself refuses to read more
PRECEDENCE = {"||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "!": 6, "~": 6}
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
ARITHMETIC = ("+", "-", "*", "/", "%", "**", "<<", ">>")
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


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
        if not all(map(_is_plain, bits)):  # flags of loops, which depend on more than one outcome
            result = ALWAYS
            for bit, value in zip(bits, wanted, strict=True):
                result = self.both(result, bit if value else self.negated(bit))
            return result
        pairs = dict[int, int]()
        for bit, value in zip(bits, wanted, strict=True):
            if bit in (ALWAYS, NEVER):
                if value != (bit == ALWAYS):
                    return NEVER
                continue
            (((number, _),),) = bit
            pairs[number] = value
        return (tuple(sorted(pairs.items())),)


def _is_plain(bit: Condition) -> bool:
    """Tell whether a bit is known, or 1 where one outcome is."""
    return bit in (ALWAYS, NEVER) or (len(bit) == 1 and len(bit[0]) == 1 and bit[0][0][1] == 1)


def _joined(left: Case, right: Case) -> Case | None:
    pairs = dict(left)
    for number, value in right:
        if pairs.setdefault(number, value) != value:
            return None
    return tuple(sorted(pairs.items()))


class Operand(NamedTuple):
    """A part of a condition.

    Attributes:
        truth: the condition that it is not 0.
        register: the bits of a register that stands alone, whose value is more than its truth; () for anything else.
        number: the value of a number that is known; None for anything else.
    """

    truth: Condition
    register: Sequence[Condition] = ()
    number: float | int | None = None

    @staticmethod
    def of(number: float | int) -> "Operand":
        """Return a number that is known."""
        return Operand(ALWAYS if number else NEVER, number=number)


class ConditionParser:
    """Reads the condition of an `if` up to its closing bracket; operators wait for their right operand."""

    def __init__(self, cursor: Cursor, scope: Scope, bits: Mapping[str, list[Condition]]) -> None:
        self.cursor, self.scope, self.bits = cursor, scope, bits
        self.line = cursor.here.line
        self.logic = Logic(lambda count: scope.limits.spend(count, self.line))
        self.values: list[Operand] = []
        self.waiting: list[str] = []
        self.depth = 1
        self.numeric: set[int] | None = None

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
                return self.values.pop().truth
            token = self.cursor.next()
            if token.kind != "symbol" or token.text not in PRECEDENCE or token.text in "!~":
                raise refused(token.line, "have ')' here", repr(token.text))
            self.apply_above(PRECEDENCE[token.text] - 1)
            self.waiting.append(token.text)

    def prefix(self) -> bool:
        token = self.cursor.here
        if token.kind != "symbol" or token.text not in ("(", "!", "~") or self.is_number():
            return False
        self.cursor.next()
        if token.text == "(":
            self.depth += 1
            self.scope.limits.require_depth(self.depth, token.line, "brackets")
            self.waiting.append("(")
        else:
            self.waiting.append(token.text)
        return True

    def is_number(self) -> bool:
        """Tell whether a bracket opens here that holds known numbers alone, so that it may be a part of a sum."""
        if self.cursor.here.text != "(":
            return False
        self.numeric = self.numeric_brackets() if self.numeric is None else self.numeric
        return self.cursor.place in self.numeric

    def numeric_brackets(self) -> set[int]:
        """Return the places of brackets from here to the end of the condition that hold known numbers alone."""
        parser, place = AngleParser(self.cursor, self.scope.names, self.scope.limits), self.cursor.place
        result, opened, strange = set[int](), list[int](), -1  # the last place of what is no number
        while True:
            token = self.cursor.tokens[place]
            is_word = token.kind == "name"
            is_number = is_word and not self.bits.get(token.text) and parser.is_known(token.text)
            if token.kind in ("end", "text") or (is_word and not is_number):
                strange = place
            if token.text == "(":
                opened.append(place)
            elif token.text == ")" and opened:
                start = opened.pop()
                if strange < start:
                    result.add(start)
            if token.kind == "end" or (token.text in (")", "{", ";") and not opened):
                return result
            place += 1

    def close(self) -> None:
        self.apply_above(0)
        if self.waiting:
            self.waiting.pop()
        self.depth -= 1

    def truth(self) -> None:
        """Read a comparison behind a bracket: of a register with a number, of anything else with true or false."""
        token = self.cursor.here
        if not self.depth:
            return
        _, register, number = self.values[-1]
        if token.kind == "symbol" and token.text in COMPARISONS and (register or number is not None):
            self.require_brackets(token)
            self.values.pop()
            if number is None:
                self.compare(register, token)
            else:
                self.compare_number(number, token)
            return
        if not self.cursor.accept("==", "!="):
            return
        constant = self.cursor.next()
        if constant.text not in ("true", "false", "0", "1"):
            raise refused(constant.line, "compare what is in brackets with true or false", repr(constant.text))
        truth = self.values.pop().truth
        same = (token.text == "==") == (constant.text in ("true", "1"))
        self.values.append(Operand(truth if same else self.logic.negated(truth)))

    def apply_above(self, precedence: int) -> None:
        while self.waiting and PRECEDENCE.get(self.waiting[-1], 0) > precedence:
            operator, right = self.waiting.pop(), self.values.pop()
            if operator in ("!", "~"):
                self.require_single(operator, right)
                self.values.append(Operand(self.logic.negated(right.truth)))
                continue
            left = self.values.pop()
            if operator in WHOLE and left.number is not None and right.number is not None:
                self.values.append(Operand.of(self.combined(operator, left.number, right.number)))
                continue
            self.require_single(operator, left, right)
            self.values.append(Operand(self.joined(operator, left.truth, right.truth)))

    def joined(self, operator: str, left: Condition, right: Condition) -> Condition:
        if operator in ("&&", "&"):
            return self.logic.both(left, right)
        if operator in ("||", "|"):
            return self.logic.either(left, right)
        return self.logic.both(left, self.logic.negated(right)) + self.logic.both(self.logic.negated(left), right)

    def require_single(self, operator: str, *operands: Operand) -> None:
        """Refuse whole registers where bits are meant: `c & d` is a number, which is 0 though neither c nor d is."""
        if operator in ("~", "&", "|", "^") and any(operand.register for operand in operands):
            raise refused(
                self.cursor.here.line,
                "compare registers with numbers, as in `c == 1`, or name their bits, as in `c[0]`",
                f"{operator!r} on a whole register",
            )
        numbers = [operand.number for operand in operands if operand.number is not None]
        if (operator == "~" and numbers) or (operator in WHOLE and any(number not in (0, 1) for number in numbers)):
            rule = f"have bits, 0 and 1 beside {operator!r}"
            raise refused(self.cursor.here.line, rule, f"the number {numbers[0]:g}", "Compare the number first.")

    def combined(self, operator: str, left: float | int, right: float | int) -> int:
        """Return two known numbers combined bit by bit."""
        try:
            return WHOLE[operator](as_whole(left), as_whole(right))
        except ValueError as error:
            rule = f"have whole numbers from 0 to 2**53 around {operator!r}"
            raise refused(self.cursor.here.line, rule, f"{left:g} {operator} {right:g}") from error

    def comparison(self) -> None:
        """Read a bit, a register that is compared to a number, or known numbers that are compared."""
        token = self.cursor.here
        name = token.text
        if token.kind != "name" or not self.bits.get(name):
            self.known(token)
            return
        self.cursor.next()
        bits = self.element(name) if self.cursor.accept("[") else self.bits[name]
        here = self.cursor.here
        if here.kind == "symbol" and here.text in COMPARISONS:
            self.require_brackets(here)
            self.compare(bits, here)
        elif len(bits) == 1:
            self.values.append(Operand(bits[0]))
        else:
            self.values.append(Operand(self.logic.compared(bits, "!=", 0), bits))

    def require_brackets(self, comparison: Token) -> None:
        if self.waiting and self.waiting[-1] in ("!", "~"):  # which bind first
            rule = f"put what {self.waiting[-1]!r} acts on into brackets"
            raise refused(comparison.line, rule, f"{comparison.text!r} right behind it")

    def require_single_number(self, start: int) -> None:
        """Refuse `!n + 1`, where the sign `!` binds first."""
        depth = 0
        for token in self.cursor.tokens[start : self.cursor.place]:
            depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
            if depth == 0 and token.text in ARITHMETIC and token is not self.cursor.tokens[start]:
                self.require_brackets(token)

    def known(self, token: Token) -> None:
        """Read a number that is known, or a comparison that begins with one."""
        names = self.scope.names
        parser = AngleParser(self.cursor, names, self.scope.limits)
        if token.kind == "name" and not parser.is_known(token.text):
            raise refused(token.line, "have conditions on declared bits", repr(token.text))
        start = self.cursor.place
        left = Expression(self.cursor, names, self.scope.limits, is_side=True).real(names)
        self.require_single_number(start)
        here = self.cursor.here
        if here.kind != "symbol" or here.text not in COMPARISONS:
            self.values.append(Operand.of(left))
            return
        self.require_brackets(here)
        self.compare_number(left, here)

    def compare_number(self, left: float | int, comparison: Token) -> None:
        """Read the rest of a comparison of a known number."""
        self.cursor.next()
        following = self.cursor.here.text
        if self.bits.get(following):
            if left != round(left):
                raise refused(comparison.line, "have a whole number here", f"{left:g}")
            self.cursor.next()
            bits = self.element(following) if self.cursor.accept("[") else self.bits[following]
            mirrored = MIRRORED.get(comparison.text, comparison.text)
            self.values.append(Operand(self.logic.compared(bits, mirrored, round(left))))
            return
        right = Expression(self.cursor, self.scope.names, self.scope.limits, is_side=True).real(self.scope.names)
        self.values.append(Operand.of(float(OPERATORS[comparison.text](left, right))))

    def compare(self, bits: Sequence[Condition], comparison: Token) -> None:
        """Read the rest of a comparison of these bits."""
        self.cursor.next()
        self.values.append(Operand(self.logic.compared(bits, comparison.text, self.number(bits))))

    def element(self, name: str) -> Sequence[Condition]:
        bits = self.bits[name]
        return picked(bits, read_places(self.cursor, self.scope.names, self.scope.limits, len(bits), name))

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
        result = Expression(self.cursor, self.scope.names, self.scope.limits, is_side=True).integer(self.scope.names)
        if abs(result) > LARGEST:
            raise refused(token.line, "compute whole numbers up to 2**53", "a larger one")
        return result
