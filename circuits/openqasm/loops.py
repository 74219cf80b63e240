"""Loops, and statements that leave them: `for`, `while`, `break`, `continue` and `end`.

A loop is written out once for each run that may happen. What follows a `break` under a condition runs in the branches
in which the condition does not hold, so that loops on measured bits are exact as long as a known number bounds their
runs.
"""

from collections import ChainMap
from collections.abc import Sequence

from circuits.openqasm.angle_parser import DEFAULT_WIDTH
from circuits.openqasm.blocks import Block, NumberType, loop_values, read_type, skip_body
from circuits.openqasm.conditions import ALWAYS, NEVER, Condition, ConditionParser
from circuits.openqasm.limits import refused
from circuits.openqasm.numbers import NumberReader
from circuits.openqasm.syntax import Token
from circuits.steps import LinearAngle

LOOPS = ("for", "while")
MAX_RUNS_ON_BITS = 1000  # of one loop, each of which has further controls
TOKENS_PER_OPERATION = 8  # of a loop's body, that are read again in about the time of an operation
RUNS_ADVICE = "Count the runs in a number that the condition compares too, as in `c == 0 && i < 5`."


class LoopReader(NumberReader):
    """Reads loops; `ProgramReader` reads all statements."""

    def start_block(self, block: Block) -> None:
        """Begin a body."""
        self.limits.require_depth(len(self.blocks) + 1, block.token.line, "blocks in blocks")
        block.is_braced = self.cursor.accept("{")
        block.start = self.cursor.place
        self.blocks.append(block)

    def read_condition(self) -> Condition:
        """Read a condition behind its opening bracket."""
        return ConditionParser(self.cursor, self.scope, ChainMap(self.bits, self.copies)).read()

    def for_(self, token: Token) -> None:
        """Read a loop over constant values."""
        kind, width = read_type(self.cursor)
        name = self.cursor.name()
        self.cursor.expect("in")
        is_real = kind in ("float", "angle")
        values = loop_values(self.cursor, self.scope, is_real=is_real)
        if not values:
            skip_body(self.cursor)
            return
        for value in {min(values), max(values)}:
            self.require_type(LinearAngle(float(value)), NumberType(kind, width or round(DEFAULT_WIDTH)), name, token)
        self.require_new(name, token, shadows=True)
        block = Block("for", token, 0, False, self.condition, values=iter(values), variable=name)
        block.hidden, block.running = self.hidden(name), self.condition
        if not is_real:
            self.scope.names.integers.add(name)
        self.start_block(block)
        self.next_value(block)

    def next_value(self, block: Block) -> bool:
        """Go back to the start of a loop with the next value of its variable, if there is one."""
        value = next(block.values, None) if block.running != NEVER or block.outside == NEVER else None
        self.limits.spend(1 + (self.cursor.place - block.start) // TOKENS_PER_OPERATION, block.token.line)
        if value is None and block.hidden is not None:
            self.restore(block.variable, block.hidden, block.token)
        if value is None:
            return False
        self.move_to(block.running, block.token)
        self.scope.names.scalars[block.variable] = LinearAngle(float(value))
        self.cursor.place = block.start
        return True

    def while_(self, token: Token) -> None:
        """Read a loop, and run it as often as its condition can hold."""
        self.cursor.expect("(")
        block = Block("while", token, 0, False, self.condition, running=self.condition, test=self.cursor.place)
        if self.goes_on(block):
            self.start_block(block)
        else:
            self.move_to(block.outside, token)
            skip_body(self.cursor)

    def next_run(self, block: Block) -> bool:
        """Go back to the start of a loop if its condition can hold once more."""
        end = self.cursor.place
        self.limits.spend(1 + (end - block.start) // TOKENS_PER_OPERATION, block.token.line)
        self.move_to(block.running, block.token)
        self.cursor.place = block.test
        if block.running != NEVER and self.goes_on(block):
            self.cursor.place = block.start
            return True
        self.cursor.place = end
        return False

    def goes_on(self, block: Block) -> bool:
        """Read the condition of a loop, and tell whether it can hold; refuse a loop that no known number ends."""
        own = self.read_condition()
        block.running = self.logic(block.token).both(block.running, own)
        if block.running == NEVER:
            return False
        scalars = self.scope.names.scalars
        state = [scalars.get(name) for name in self.changeable]
        self.limits.spend(len(state) // TOKENS_PER_OPERATION, block.token.line)
        is_measured = own != ALWAYS or block.running != block.outside
        block.n_runs += is_measured
        if state == block.state or block.n_runs > MAX_RUNS_ON_BITS:
            rule = f"have loops whose number of runs is known, at most {MAX_RUNS_ON_BITS} on measured bits"
            value = "a `while` on measured bits, which has no bound" if is_measured else "a `while` that never ends"
            raise refused(block.token.line, rule, value, RUNS_ADVICE)
        block.state = state
        self.move_to(block.running, block.token)
        return True

    def break_(self, token: Token) -> None:
        """Read `break` or `continue`: what follows in the loop runs in the other branches only."""
        self.cursor.expect(";")
        loop = next((k for k in reversed(range(len(self.blocks))) if self.blocks[k].kind in LOOPS), None)
        if loop is None:
            raise refused(token.line, f"have `{token.text}` in loops only", "one outside of them")
        if token.text == "break":
            self.blocks[loop].running = self.without(self.blocks[loop].running, self.condition, token)
        self.leave(self.blocks[loop + 1 :], token)

    def end(self, token: Token) -> None:
        """Read `end`: whatever follows runs in the other branches only."""
        self.cursor.expect(";")
        if self.condition == ALWAYS:
            self.blocks.clear()
            self.cursor.place = len(self.cursor.tokens) - 1
            return
        for loop in self.blocks:
            loop.running = self.without(loop.running, self.condition, token)
        self.leave(self.blocks, token)

    def leave(self, blocks: Sequence[Block], token: Token) -> None:
        """Go on behind some blocks: their other statements run in the branches in which the condition does not hold."""
        for block in blocks:
            block.outside = self.without(block.outside, self.condition, token)
        self.condition = NEVER

    def without(self, condition: Condition, other: Condition, token: Token) -> Condition:
        """Return the condition that one holds and another one does not."""
        return NEVER if condition == other else self.logic(token).both(condition, self.logic(token).negated(other))
