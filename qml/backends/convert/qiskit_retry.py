"""Repeat until success as a real circuit: a loop, or a bounded number of attempts, instead of dropping shots."""

from qiskit.circuit import QuantumCircuit
from qiskit.circuit.classical import expr

from circuits import Circuit
from qml.backends.convert.qiskit import POST_SELECT, to_qiskit


def repeat_until_success(circuit: Circuit, *, attempts: int | None = None) -> QuantumCircuit:
    """Write post-selections for Qiskit: the circuit runs again from |0...0> while one of them has failed.

    Every qubit is reset before a new attempt, so the state at the end is exactly the post-selected one. To repeat a
    single neuron would be cheaper and wrong: its chance of success depends on its sources, and where those are in
    superposition a failure leaves other amplitudes behind. Attempts follow each other with the chance of
    `Native.success_probability`, so 1 / chance are needed on average.

    Args:
        circuit: with at least one post-selection, measured and final bits included. Slots become parameters as in
            `to_qiskit`.
        attempts: None for a loop (`while` in OpenQASM 3), which simulators run; or the most attempts, unrolled into
            conditions (`if`), which devices run too. Shots whose register `post_select` still is not
            `metadata["post_select"]` after the last have failed and must be dropped.

    Raises:
        ValueError: nothing is post-selected; `attempts` below 1.

    Reference:
        Paetznick and Svore, arXiv:1311.1074, for repeat-until-success circuits; Bausch, arXiv:2006.14619, section 3.

    Example:
        >>> from circuits import Circuit
        >>> from qml.backends.convert.qiskit_retry import repeat_until_success
        >>> repeated = repeat_until_success(Circuit(2).h(0).cx(0, 1).post_select(0, 1), attempts=3)
        >>> repeated.count_ops()["if_else"]
        2
    """
    if attempts is not None and (isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1):
        raise ValueError(f"Argument `attempts` must be None or an int of at least 1, but is {attempts!r}.")
    body = to_qiskit(circuit)
    selected = (body.metadata or {}).get(POST_SELECT, [])
    if not selected:
        raise ValueError("Argument `circuit` must post-select something to be repeated, but does not. Run it once.")
    again = body.copy_empty_like()
    again.reset(range(again.num_qubits))
    again.compose(body, inplace=True)
    wanted = sum(value << place for place, value in enumerate(selected))
    (register,) = (each for each in body.cregs if each.name == POST_SELECT)
    failed = expr.not_equal(register, wanted)
    if attempts is None:
        body.while_loop(failed, again, again.qubits, again.clbits)
    else:
        for _ in range(attempts - 1):
            body.if_test(failed, again, again.qubits, again.clbits)
    return body
