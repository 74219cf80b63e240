"""Loops on measured bits with a known bound, and what leaves them, against the sum over all branches."""

import numpy as np
import pytest
import torch

from circuits import Circuit, from_openqasm
from qml.backends import Native
from tests import loop_programs as programs
from tests.helpers import assert_close
from tests.test_openqasm_control import HEADER, bits_of

START: programs.Steps = [("gate", "ry", 0.8, (0,)), ("gate", "ry", 1.7, (1,))]
MEASURED = "qubit[2] q; bit[2] c; ry(0.7) q[0]; ry(1.9) q[1]; c = measure q;\n"


def of_qubits(circuit: Circuit) -> np.ndarray:
    none = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    return Native().probabilities(circuit, *none, qubits=[0, 1])[0].numpy()


def random_program(seed: int) -> programs.Steps:
    return [*START, *programs.random_steps(np.random.default_rng(seed), 4)]


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_random_programs_with_loops_equal_the_sum_over_their_branches(first: int) -> None:
    for seed in range(first, first + 10):
        steps = random_program(seed)
        expected = programs.branches_of(steps)
        circuit = from_openqasm(programs.as_text(steps))
        assert_close(of_qubits(circuit), programs.qubit_probabilities(expected), 1e-10)


LEAVING: dict[str, programs.Steps] = {
    "break": [("if", ("bit", 0, 1), [("break",)], None), ("turn", 1), ("measure", 1, 0), ("measure", 1, 1)],
    "continue": [("if", ("bit", 1, 1), [("continue",)], None), ("gate", "ry", 0.4, (1,)), ("measure", 1, 1)],
    "end": [("if", ("register", 1), [("end",)], [("gate", "h", None, (1,)), ("measure", 1, 1)]), ("turn", 0)],
}


@pytest.mark.parametrize("name", LEAVING)
def test_bits_after_a_loop_that_is_left_are_those_of_the_branches(name: str) -> None:
    steps = [*START, ("measure", 0, 0), ("for", 2, LEAVING[name]), ("gate", "h", None, (0,)), ("measure", 0, 0)]
    circuit, expected = from_openqasm(programs.as_text(steps)), programs.branches_of(steps)
    assert_close(of_qubits(circuit), programs.qubit_probabilities(expected), 1e-10)
    ours = bits_of(circuit)
    assert_close([ours.get(key, 0.0) for key in ("00", "10", "01", "11")], programs.bit_probabilities(expected), 1e-10)


def test_the_oracle_tells_statements_apart() -> None:
    found = []
    for word in ("break", "continue", "end"):
        body: programs.Steps = [("gate", "ry", 0.4, (1,)), ("if", ("bit", 0, 1), [(word,)], None), ("measure", 1, 0)]
        steps = [*START, ("measure", 0, 0), ("for", 3, body), ("gate", "h", None, (0,))]
        found.append(programs.qubit_probabilities(programs.branches_of(steps)))
    assert min(np.abs(found[k] - found[k - 1]).max() for k in range(3)) > 1e-3


@pytest.mark.parametrize(
    ("loop", "same"),
    [
        (
            "int i = 0; while (c[0] == 0 && i < 2) { x q[1]; reset q[0]; c[0] = measure q[0]; i += 1; }",
            "if (c[0] == 0) { x q[1]; reset q[0]; c[0] = measure q[0]; }"
            "if (c[0] == 0) { x q[1]; reset q[0]; c[0] = measure q[0]; }",
        ),
        ("while (true) { h q[0]; break; x q[1]; } y q[1];", "h q[0]; y q[1];"),
        ("for int i in [0:3] { if (i % 2 == 1) continue; rx(i) q[0]; if (i == 2) break; h q[1]; }",
         "rx(0) q[0]; h q[1]; rx(2) q[0];"),
        ("for int i in [0:1] { for int j in [0:2] { if (j == i) break; rx(j + 1) q[0]; } z q[0]; }",
         "z q[0]; rx(1) q[0]; z q[0];"),
        ("h q[0]; if (c[1]) { x q[0]; end; } y q[1];", "h q[0]; if (c[1]) { x q[0]; } else { y q[1]; }"),
        ("h q[0]; for int i in [0:4] { x q[0]; if (i == 1) { end; } } y q[1];", "h q[0]; x q[0]; x q[0];"),
        ("int i = 1; if (c[0]) { i = 3; rx(i) q[0]; } i = 2; rx(i) q[1];", "if (c[0]) rx(3) q[0]; rx(2) q[1];"),
        ("int i = 2; if (c[0]) { if (c[1]) { i += 3; } i = 7; rx(i) q[0]; }", "if (c[0]) rx(7) q[0];"),
        ("int i = 4; switch (i) { case 4 { x q[0]; } default { h q[0]; } }", "x q[0];"),
        ("int i = 1; if (i == 2) { i = 5; x q[0]; } else { i += 1; } rx(i) q[0];", "rx(2) q[0];"),
        ("int n = c; if (n == 2 || 1 == c[0:0]) { x q[0]; }", "if (c == 2 || c[0] == 1) x q[0];"),
    ],
)  # fmt: skip
def test_a_loop_is_what_it_is_by_hand(loop: str, same: str) -> None:
    assert_close(
        of_qubits(from_openqasm(HEADER + MEASURED + loop)), of_qubits(from_openqasm(HEADER + MEASURED + same)), 1e-12
    )


def test_counted_loops_on_bits_are_bounded() -> None:
    body = "qubit q; bit c; int i = 0; h q; c = measure q; while (c == 0 && i < 5000) { i += 1; h q; c = measure q; }"
    with pytest.raises(ValueError, match=r"`max_operations` must allow"):
        from_openqasm(HEADER + body, max_operations=20_000)
    unbounded = "qubit q; bit c; int i = 0; c = measure q; while (c == 0) { i += 1; c = measure q; }"
    with pytest.raises(ValueError, match=r"`max_operations` must allow"):
        from_openqasm(HEADER + unbounded, max_operations=2_000)
    constant = "qubit q; bit c; int i = 0; c = measure q; while (c == 0) { i += 1; }"
    with pytest.raises(ValueError, match=r"at most 1000 on measured bits, but line 3 has a `while` on measured bits"):
        from_openqasm(HEADER + constant)
