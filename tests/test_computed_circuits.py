"""Circuits with computed angles: feature maps of products, and circuits of others whose angles are polynomials."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector, library
from qiskit.quantum_info import Operator

from circuits import (
    Circuit,
    ComputedCircuit,
    Polynomial,
    Z,
    ansatzes,
    computed_from_openqasm,
    data,
    feature_maps,
    from_openqasm,
    to_openqasm,
    weight,
)
from circuits.functions import FUNCTIONS as NAMES
from circuits.polynomials import affine, function_of, inputs, weight_of
from qml.backends import Native
from qml.backends.convert.qiskit import computed_from_qiskit, from_qiskit, reverse_qubits, to_qiskit
from tests import oracle
from tests.helpers import assert_close
from tests.strategies import examples

ALGEBRA = 1e-12  # a few hundred products in float64


def qiskit_unitary(circuit: QuantumCircuit) -> np.ndarray:
    return reverse_qubits(reverse_qubits(Operator(circuit).data, axis=0), axis=1)


def assert_equal_up_to_phase(actual: np.ndarray, expected: np.ndarray) -> None:
    overlap = np.trace(expected.conj().T @ actual)
    assert_close(actual * (overlap.conjugate() / abs(overlap)), expected, ALGEBRA)


# --- polynomials -----------------------------------------------------------------------------------------------------


def test_polynomials_are_sums_of_products() -> None:
    first, second = inputs(2)
    product = (math.pi - first) * (2.0 * second - 1.0) ** 2 + weight_of(1) * first
    samples, weights = np.array([[0.3, -0.7], [1.1, 0.2]]), np.array([0.5, -2.0])
    expected = (math.pi - samples[:, 0]) * (2 * samples[:, 1] - 1) ** 2 - 2.0 * samples[:, 0]
    assert_close(product.values(samples, weights), expected, ALGEBRA)
    assert (product.degree, len(product.variables)) == (3, 3)
    assert first * second == second * first
    assert first - first == Polynomial(()) == 0 * second
    assert repr(2.5 - first + second**2) == "2.5 - x0 + x1**2"
    assert (repr(first - first), repr(-first)) == ("0", "-x0")
    assert affine(1)[0] == weight_of(0) * first + weight_of(1)
    replaced = (first * second).substituted({data(0): second + 1.0})
    assert replaced == second * second + second


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Polynomial(((math.nan, ()),)), "`coefficient` must be finite"),
        (lambda: Polynomial(((1.0, ((data(0), 0),)),)), "`exponent` must be at least 1, but is 0"),
        (lambda: inputs(1)[0] ** 33, "a degree of at most 32, but has 33"),
        (lambda: inputs(1)[0] ** -1, "`exponent` must be at least 0"),
    ],
)
def test_bad_polynomials_are_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


# --- feature maps ----------------------------------------------------------------------------------------------------

QISKIT_PATTERNS = {"all": "full", "line": "linear", "closed_line": "circular", "reversed_line": "reverse_linear"}


@pytest.mark.parametrize(("pattern", "entanglement"), QISKIT_PATTERNS.items())
@pytest.mark.parametrize("n_inputs", [2, 3, 5])
def test_the_zz_map_is_that_of_qiskit(n_inputs: int, pattern: str, entanglement: str) -> None:
    computed = feature_maps.zz(n_inputs, 2, pattern=pattern, alpha=1.7)
    namesake = library.zz_feature_map(n_inputs, 2, entanglement, alpha=1.7)
    samples = np.linspace(-0.9, 1.4, n_inputs)
    actual = oracle.unitary_of(computed.bind(samples))
    assert_equal_up_to_phase(actual, qiskit_unitary(namesake.assign_parameters(samples)))


@pytest.mark.parametrize("paulis", [["Z"], ["Z", "YY"], ["X", "ZY"], ["Y", "ZXX", "XY"]])
@pytest.mark.parametrize("pattern", ["all", "line"])
def test_pauli_maps_are_those_of_qiskit(paulis: list[str], pattern: str) -> None:
    computed = feature_maps.pauli(4, 2, paulis=paulis, pattern=pattern)
    namesake = library.pauli_feature_map(4, 2, QISKIT_PATTERNS[pattern], paulis=[word[::-1] for word in paulis])
    samples = np.array([0.4, -1.1, 2.3, 0.9])
    actual = oracle.unitary_of(computed.bind(samples))
    assert_equal_up_to_phase(actual, qiskit_unitary(namesake.assign_parameters(samples)))


@pytest.mark.parametrize(("n_inputs", "n_layers"), [(2, 1), (3, 2), (4, 3)])
@pytest.mark.parametrize("pattern", ["all", "ring"])
def test_the_iqp_map_is_that_of_pennylane(n_inputs: int, n_layers: int, pattern: str) -> None:
    computed = feature_maps.iqp(n_inputs, n_layers, pattern=pattern)
    samples, pairs = np.linspace(-1.2, 0.8, n_inputs), [list(pair) for pair in ansatzes.pairs_of(pattern, n_inputs)]
    expected = pennylane.matrix(pennylane.IQPEmbedding(samples, range(n_inputs), n_layers, pairs), range(n_inputs))
    assert_close(oracle.unitary_of(computed.bind(samples)), expected, ALGEBRA)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: feature_maps.zz(1), "has no neighbour"),
        (lambda: feature_maps.pauli(2, paulis=["ZI"]), "`paulis` must hold strings of X, Y and Z on at most 2"),
        (lambda: feature_maps.pauli(2, paulis=["ZZZ"]), "on at most 2 qubits, but holds 'ZZZ'"),
        (lambda: feature_maps.pauli(2, paulis=[]), "`paulis` must hold at least one string"),
        (lambda: feature_maps.pauli(4, paulis=["XYZ"], pattern="ring"), '`pattern` must be "all" or "line" for'),
        (lambda: feature_maps.iqp(3, pattern="star"), "`pattern` must be one of"),
    ],
)
def test_bad_feature_maps_are_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


# --- circuits with their angles --------------------------------------------------------------------------------------


def scaled_input() -> ComputedCircuit:
    (value,) = inputs(1)
    circuit = Circuit(2).ry(data(0), 0).rx(weight(0), 1).cx(0, 1).rz(data(1), 1)
    return ComputedCircuit(circuit, (weight_of(0) * value + weight_of(1), value**2), 1)


def test_composition_shares_inputs_and_numbers_weights_afresh() -> None:
    computed = scaled_input().compose(ansatzes.real_amplitudes(2, 1)).compose(scaled_input(), (1, 0))
    assert (computed.n_weights, computed.n_inputs, computed.circuit.n_data) == (10, 1, 3)
    assert (computed.circuit_weights, computed.angle_weights) == ((0, 3, 4, 5, 6, 7), (1, 2, 8, 9))
    weights = np.arange(10) / 7 - 0.6
    expected = Circuit(2).compose(scaled_input().bind([0.7], weights[:3]))
    expected.compose(ansatzes.real_amplitudes(2, 1).bind((), weights[3:7]))
    expected.compose(scaled_input().bind([0.7], weights[7:]), (1, 0))
    assert_close(oracle.unitary_of(computed.bind([0.7], weights)), oracle.unitary_of(expected), ALGEBRA)
    assert scaled_input().circuit.n_data == 2


def test_circuits_and_polynomials_must_fit() -> None:
    circuit = Circuit(1).rx(data(0), 0)
    (value,) = inputs(1)
    with pytest.raises(ValueError, match="`angles` must hold 1 polynomials, one for each data slot, but holds 0"):
        ComputedCircuit(circuit, (), 1)
    with pytest.raises(ValueError, match=r"`n_inputs` must be at least 1, but is 0\. The angles use so many inputs"):
        ComputedCircuit(circuit, (value,), 0)
    with pytest.raises(ValueError, match=r"weight\(0\) is used nowhere"):
        ComputedCircuit(circuit, (weight_of(1) * value,), 1)
    with pytest.raises(ValueError, match="must hold every number once"):
        ComputedCircuit(Circuit(1).rx(data(0), 0).ry(weight(0), 0), (weight_of(0) * value,), 1, (0,), (0,))
    with pytest.raises(ValueError, match="`other` must hold weights only, but has 1 data slots"):
        scaled_input().compose(circuit, (0,))
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 1\), but has shape \(2,\)"):
        scaled_input().data([1.0, 2.0])


# --- circuits of others ----------------------------------------------------------------------------------------------


def check_qiskit(circuit: QuantumCircuit, n_inputs: int, n_weights: int) -> ComputedCircuit:
    """Compare with Qiskit's own matrix at random parameters of the vectors `data` and `weight`."""
    computed = computed_from_qiskit(circuit)
    random = np.random.default_rng(4)
    values = {"data": random.normal(size=n_inputs), "weight": random.normal(size=n_weights)}
    bound = circuit.assign_parameters({item: values[item.vector.name][item.index] for item in circuit.parameters})
    samples = values["data"][: computed.n_inputs]
    assert_close(oracle.unitary_of(computed.bind(samples, values["weight"])), qiskit_unitary(bound), ALGEBRA * 10)
    return computed


MONOMIALS = st.lists(
    st.tuples(st.sampled_from([-1.5, 0.5, 2.0, math.pi]), st.lists(st.integers(0, 4), max_size=3)),
    min_size=1,
    max_size=3,
)


@examples(30)
@given(st.lists(st.tuples(st.sampled_from(["rx", "p", "rzz", "crz", "inverse"]), MONOMIALS), min_size=1, max_size=4))
def test_random_polynomials_keep_the_unitary(gates: list[tuple[str, Any]]) -> None:
    trained, samples = ParameterVector("weight", 2), ParameterVector("data", 3)
    variables = [*samples, *trained]
    circuit = QuantumCircuit(2)
    for parameter in trained:  # so that every weight is used
        circuit.ry(parameter, 1)
    for place, (kind, monomials) in enumerate(gates):
        angle = sum((math.prod([variables[k] for k in chosen], start=factor) for factor, chosen in monomials), 0.0)
        targets = [place % 2] if kind in ("rx", "p", "inverse") else [place % 2, 1 - place % 2]
        if kind == "inverse":
            inner = QuantumCircuit(1)
            inner.rx(angle, 0)
            inner.ry(2.0 * angle, 0)
            circuit.append(inner.to_gate().inverse().control(1), [1 - targets[0], targets[0]])
        else:
            getattr(circuit, kind)(angle, *targets)
    check_qiskit(circuit, 3, 2)


def test_a_weight_in_a_polynomial_is_computed_with_everywhere() -> None:
    samples, trained = ParameterVector("data", 1), ParameterVector("weight", 3)
    circuit = QuantumCircuit(1)
    circuit.rx(trained[1] * samples[0] + trained[2], 0)
    circuit.ry(trained[0], 0)
    circuit.rz(trained[2], 0)
    computed = check_qiskit(circuit, 1, 3)
    assert (computed.circuit_weights, computed.angle_weights) == ((0,), (1, 2))
    assert set(computed.angles) == {weight_of(0) * inputs(1)[0] + weight_of(1), weight_of(1)}


def test_qiskits_own_feature_maps_are_read() -> None:
    circuit = library.zz_feature_map(3, 2).compose(library.real_amplitudes(3, reps=1))
    computed = computed_from_qiskit(circuit, data=["x"])
    assert (computed.n_inputs, computed.n_weights, computed.circuit.n_data) == (3, 6, 6)
    samples, weights = np.array([0.2, -0.4, 1.5]), np.arange(6) / 3
    values = {f"x[{k}]": value for k, value in enumerate(samples)} | {
        f"θ[{k}]": value for k, value in enumerate(weights)
    }
    expected = qiskit_unitary(circuit.assign_parameters(values))
    assert_close(oracle.unitary_of(computed.bind(samples, weights)), expected, ALGEBRA)


X, W = Parameter("x"), Parameter("w")
EXPRESSIONS = [
    X.sin(), X.cos() * W.tan(), X.arcsin() + W.arccos(), (X * W).arctan(), X.exp(), X.log(), abs(X - 1), X.conjugate(),
    1 / X, X / W, X**0.5, X**-2, (X * W + 1).sin() ** 2, X**W, 2 * X.conjugate() + 1, abs(X) + 1, X * 1j * 1j,
    (X.sin() + W).exp() / (1 + X * X), X.log() - X.log(), (1 / X.cos()).log(),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)))
def test_functions_in_qiskits_expressions_are_read(number: int) -> None:
    circuit = QuantumCircuit(2)
    circuit.rx(EXPRESSIONS[number], 0)
    circuit.crz(2 * EXPRESSIONS[number], 0, 1)
    circuit.ry(W + X, 1)
    computed = computed_from_qiskit(circuit, data=[X])
    bound = circuit.assign_parameters({X: 0.3, W: 0.7})
    assert_close(oracle.unitary_of(computed.bind([0.3], [0.7])), qiskit_unitary(bound), ALGEBRA)


@pytest.mark.parametrize(
    ("angle", "message"),
    [
        (X.sign(), "made of sums, products, powers and sin, cos, .* of its parameters, but has sign"),
        (X**33, "made of sums, .*Compute the angle outside"),
        ((X * 1j).exp(), "made of sums"),
        (2**X, "that sympy can read from Qiskit"),
    ],
)
def test_expressions_without_a_meaning_are_refused(angle: Any, message: str) -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(angle, 0)
    with pytest.raises(ValueError, match=message):
        computed_from_qiskit(circuit)


def test_products_are_refused_where_angles_are_linear() -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(X * X, 0)
    with pytest.raises(ValueError, match=r"linear in its parameters, .* computed_from_qiskit"):
        from_qiskit(circuit)


PROGRAM = """OPENQASM 3.0;
include "stdgates.inc";
input float[64] data_0;
input float[64] weight_0;
input array[float[64], 2] x;
input float[64] weight_1;
gate layer(a, b) q, r { rx(a * b) q; ctrl @ ry(-(a - pi) ** 2 / 4) q, r; inv @ rz(a * 2 + b) r; }
qubit[2] q;
layer(x[0] * data_0, x[1]) q[0], q[1];
pow(2) @ inv @ layer(weight_0, data_0) q[1], q[0];
p((data_0 + x[1]) * (data_0 - x[1]) + 0 * weight_0) q[1];
ry(weight_1) q[0];
rz(data_0) q[0];
"""


def test_programs_with_polynomials_are_read() -> None:
    computed = computed_from_openqasm(PROGRAM, data=["x"])
    assert (computed.n_inputs, computed.n_weights) == (3, 2)
    assert (computed.circuit_weights, computed.angle_weights) == ((1,), (0,))
    point, trained = [0.6, -0.8, 1.3], [0.4, -0.9]
    first, second, third = point

    def layer(a: float, b: float) -> Circuit:
        return Circuit(2).rx(a * b, 0).ry(-((a - math.pi) ** 2) / 4, 1, controls=0).rz(-(2 * a + b), 1)

    expected = Circuit(2).compose(layer(second * first, third))
    expected.compose(layer(trained[0], first).inverse().power(2), (1, 0))
    expected.p((first + third) * (first - third), 1).ry(trained[1], 0).rz(first, 0)
    assert_close(oracle.unitary_of(computed.bind(point, trained)), oracle.unitary_of(expected), ALGEBRA)


def one_angle(angle: str) -> str:
    return f"OPENQASM 3.0; input float x; input float y; qubit q; U({angle}, 0, 0) q;"


@pytest.mark.parametrize(
    ("angle", "message"),
    [
        ("floor(x * y)", "polynomials of the inputs and of functions of them, but line 1 has an input under 'floor'"),
        ("(x * y) % 2", "polynomials of the inputs and of functions of them, but line 1 has an input under '%'"),
        ("x ** 33", "whole powers from -32 to 32 only"),
        ("x ** 1e300", "whole powers from -32 to 32 only"),
        ("x / (y - y)", "not divide by zero"),
        ("x / (x * y - x * y)", "not divide by zero"),
        ("sin(" * 33 + "x" + ")" * 33, "of at most 32 of them in each other"),
        ("log(x * 1e300 * 1e300)", "finite real angles"),
        ("arcsin(2 + x - x)", "finite real angles, but line 1 has arcsin of 2.0"),
        ("x ** 20 * y ** 20", "a degree of at most 32"),
        ("(1 + x + y) ** 2 * x * 1e300 * 1e300", "finite real angles"),
        ("((1 + x + y) ** 16 - 1) * ((2 + x + y) ** 16 - 1) * 1", "max_operations"),
    ],
)
def test_programs_beyond_polynomials_are_refused(angle: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        computed_from_openqasm(one_angle(angle), max_operations=10_000)


def test_a_constant_that_is_made_of_inputs_is_a_constant() -> None:
    computed = computed_from_openqasm(one_angle("cos((x + 1) * (y + 1) - x * y - x - y) + x ** 0"))
    assert [op.angles[0] for op in computed.circuit] == [pytest.approx(1.0 + math.cos(1.0))]
    with pytest.raises(ValueError, match=r"linear in the inputs, .* Polynomials and functions of inputs are read"):
        from_openqasm(one_angle("x * y"))
    with pytest.raises(ValueError, match=r"linear in the inputs, .* under 'sin'.* are read by computed_from_openqasm"):
        from_openqasm(one_angle("sin(x)"))


FUNCTIONS: dict[str, Callable[[float, float], float]] = {
    "sin(x) * cos(y)": lambda x, y: math.sin(x) * math.cos(y),
    "tan(x * y) - arctan(y)": lambda x, y: math.tan(x * y) - math.atan(y),
    "arcsin(x) + arccos(x * y)": lambda x, y: math.asin(x) + math.acos(x * y),
    "exp(x) / (1 + y)": lambda x, y: math.exp(x) / (1 + y),
    "log(x + y) ** 2": lambda x, y: math.log(x + y) ** 2,
    "sqrt(x) ** 3 / sqrt(y)": lambda x, y: x**1.5 / y**0.5,
    "x ** -2 + y ** 0.5 + x ** 2.5": lambda x, y: x**-2 + y**0.5 + x**2.5,
    "2 ** x * y ** x + x ** 0.3": lambda x, y: 2**x * y**x + x**0.3,
    "1 / (1 / x)": lambda x, y: x,
    "pow(x, 2) - pow(2, y)": lambda x, y: x**2 - 2**y,
    "sin(exp(sin(x * y)) / (2 - x))": lambda x, y: math.sin(math.exp(math.sin(x * y)) / (2 - x)),
    "float[64](x) * 0 + sin(x) - sin(x)": lambda x, y: 0.0,
}


@pytest.mark.parametrize("angle", FUNCTIONS)
def test_functions_of_inputs_are_read(angle: str) -> None:
    gate = f"gate g(a, b) p {{ ry({angle.replace('x', 'a').replace('y', 'b').replace('eap', 'exp')}) p; }}"
    text = one_angle(angle).replace("qubit q;", f'include "stdgates.inc"; {gate} qubit q;') + "g(x, y) q; rx(x + y) q;"
    computed = computed_from_openqasm(text, data=["x"])
    value = FUNCTIONS[angle](0.3, 0.7)
    expected = Circuit(1).ry(value, 0).ry(value, 0).rx(1.0, 0)
    assert_close(oracle.unitary_of(computed.bind([0.3], [0.7])), oracle.unitary_of(expected), ALGEBRA)


def test_a_repeated_map_uploads_the_same_inputs_with_weights_of_its_own() -> None:
    block = feature_maps.zz(2, 1).compose(ansatzes.real_amplitudes(2, 1))
    twice = block.repeat(2)
    assert (twice.n_qubits, twice.n_inputs, twice.n_weights) == (2, 2, 2 * block.n_weights)
    values = np.random.default_rng(0).uniform(-3, 3, 2 + twice.n_weights)
    whole = twice.bind(values[:2], values[2:])
    parts = [block.bind(values[:2], values[2:6]), block.bind(values[:2], values[6:])]
    together = parts[0].copy().compose(parts[1])
    assert_close(oracle.unitary_of(whole), oracle.unitary_of(together), ALGEBRA)
    assert twice.draw() == twice.circuit.draw()
    assert set(twice._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}


@pytest.mark.plain
def test_a_computed_circuit_where_a_circuit_is_asked_for_is_refused_with_the_way() -> None:
    with pytest.raises(TypeError, match=r"ComputedCircuit\(circuit, \(\), 0\).compose\(other\)"):
        ansatzes.real_amplitudes(2, 1).compose(feature_maps.zz(2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`data\(inputs\)` as data"):
        Native().expectation(feature_maps.zz(2), torch.zeros(1, 2), torch.zeros(0), [Z(0)])  # type: ignore[arg-type]


def everything() -> ComputedCircuit:
    """All functions, weights of both kinds, and an input that does not occur."""
    first, _, third = inputs(3)
    inner = 0.3 * first * weight_of(1) + 0.4 + 0.1 * third
    angles = [function_of(name, inner) for name in NAMES if name != "abs"]
    angles.append(function_of("sin", angles[0] / (2.0 + third) ** 2) - 0.5 * first**3 + weight_of(0))
    circuit = Circuit(2).ry(weight(0), 0).rx(weight(1), 1)
    for k in range(len(angles)):
        circuit.pauli_rotation(data(k), "YY", (k % 2, 1 - k % 2)).p(data(k), k % 2, controls=1 - k % 2)
    return ComputedCircuit(circuit, tuple(angles), 4, (1, 3), (2, 0))


def test_computed_angles_are_written_and_read_again() -> None:
    computed = everything()
    point, trained = [0.3, 0.9, -0.4, 1.0], [0.7, -0.2, 0.5, 1.1]
    expected = oracle.unitary_of(computed.bind(point, trained))
    text = to_openqasm(computed)
    again = computed_from_openqasm(text)
    assert (again.n_inputs, again.n_weights) == (4, 4)
    assert_close(oracle.unitary_of(again.bind(point, trained)), expected, ALGEBRA)
    assert to_openqasm(again).count("arcsin") == text.count("arcsin")
    with_abs = ComputedCircuit(Circuit(1).rx(data(0), 0), (function_of("abs", inputs(1)[0]),), 1)
    with pytest.raises(ValueError, match=r"functions that OpenQASM has, but has abs\(x0\)"):
        to_openqasm(with_abs)
    with pytest.raises(ValueError, match="free of slots to be written as OpenQASM 2"):
        to_openqasm(computed, version=2)


def test_computed_angles_become_expressions_of_qiskit() -> None:
    computed = everything()
    point, trained = [0.3, 0.9, -0.4, 1.0], [0.7, -0.2, 0.5, 1.1]
    vectors = ParameterVector("data", 4), ParameterVector("weight", 4)
    written = to_qiskit(computed, parameters=vectors)
    values = dict(zip([*vectors[0], *vectors[1]], [*point, *trained], strict=True))
    bound = written.assign_parameters({item: values[item] for item in written.parameters})
    expected = oracle.unitary_of(computed.bind(point, trained))
    assert_close(qiskit_unitary(bound), expected, ALGEBRA)
    again = computed_from_qiskit(written)
    assert_close(oracle.unitary_of(again.bind(point[: again.n_inputs], trained)), expected, ALGEBRA)
    with_abs = ComputedCircuit(Circuit(1).rx(data(0), 0), (function_of("abs", inputs(1)[0]),), 1)
    (parameter,) = to_qiskit(with_abs).parameters
    assert_close(
        qiskit_unitary(to_qiskit(with_abs).assign_parameters([-0.3])), oracle.unitary_of(with_abs.bind([-0.3])), ALGEBRA
    )
    assert parameter.name == "data[0]"
