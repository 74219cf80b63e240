"""The quantum neural network classifier as a torch module."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, Observable, Y, classifier, data
from circuits.observables import pauli_string
from qml import checks
from qml.backends import Backend, resolve

DEFAULT_PATTERN = "zxzxzx"  # the layers of the paper's digits: ZX, XX, three times
INITIAL_SPREAD = 0.5  # radians, over all weights together: large angles make the product over many qubits vanish


class QNNClassifier(nn.Module):
    r"""The quantum neural network classifier of Farhi and Neven, which reads classes from one or more qubits.

    Each feature x_j in [0, 1] turns a data qubit by RX(pi x_j); gates exp(i theta P_j X_r) couple the data qubits to
    read-out qubits; the prediction is <Y_r>. With the built-in simulator and one of the named patterns the circuit
    factorises and costs O(n L) a sample, at any number of features; other circuits cost 2**n.

    More than two classes are told apart by ceil(log2(n_classes)) read-out qubits, measured in the Y basis: class c is
    the outcome whose binary digits, first read-out first, are those of c (Y = +1 reads 0).

    Args:
        n_inputs: number of features n.
        pattern: the letter x, y or z of the Pauli on the data qubit, one a layer; the read-out always gets X. The
            default is "zxzxzx".
        n_classes: 2 for one number in [-1, 1], more for class logits.
        circuit: an own circuit instead of a pattern, with n data slots; its last qubits are the read-outs.
        observable: for an own circuit and two classes, the one whose expectation value is the prediction (default: Y on
            the last qubit).
        backend: a backend or its name.
        device: of the weights.
        dtype: of the weights, float32 or float64.
        generator: for the initial weights; none is seeded globally.

    Shape:
        inputs (..., n_inputs) to predictions (...) in [-1, 1] for two classes, or to logits (..., n_classes), the
        logarithms of the outcomes' probabilities.

    Attributes:
        weights: angles in radians, shape (len(pattern) * n_readouts * n_inputs,), drawn from N(0, 0.25 / n_weights).
        circuit: the circuit.

    Raises:
        ValueError: there are fewer than two classes or no features; an own circuit has not one data slot a feature.

    Reference:
        Farhi and Neven, arXiv:1802.06002, sections 2 and 4. Here features may lie between 0 and 1.

    Example:
        >>> import torch
        >>> from qml.nn import QNNClassifier
        >>> QNNClassifier(16, "zxzxzx")(torch.rand(5, 16)).shape
        torch.Size([5])
    """

    weights: nn.Parameter

    def __init__(  # noqa: PLR0913 - torch's device, dtype and generator come on top
        self,
        n_inputs: int,
        pattern: str | None = None,
        *,
        n_classes: int = 2,
        circuit: Circuit | None = None,
        observable: Observable | None = None,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_precision(dtype)
        checks.require_generator(generator)
        n_inputs, n_classes = checks.as_int(n_inputs, "n_inputs", 1), checks.as_int(n_classes, "n_classes", 2)
        self.n_inputs, self.n_classes = n_inputs, n_classes
        _require_kinds(pattern, circuit, observable)
        if circuit is not None and pattern is not None:
            raise ValueError("Arguments `pattern` and `circuit` must not both be given: an own circuit has no pattern.")
        self.pattern = pattern if circuit is not None or pattern is not None else DEFAULT_PATTERN
        n_readouts = max(1, math.ceil(math.log2(n_classes)))
        if circuit is None:
            circuit = classifier.classifier_circuit(n_inputs, self.pattern or "", n_readouts=n_readouts)
        elif circuit.n_data != n_inputs:
            raise ValueError(
                f"Argument `circuit` must have {n_inputs} data slots, one a feature, but has {circuit.n_data}."
            )
        if circuit.n_qubits < n_readouts:
            raise ValueError(
                f"Argument `circuit` must have at least {n_readouts} qubits to read {n_classes} classes, but has "
                f"{circuit.n_qubits}."
            )
        self.circuit = circuit
        self.backend = resolve(backend)
        self.observables = _observables(circuit.n_qubits, n_readouts, n_classes, observable)
        self.weights = nn.Parameter(torch.empty(circuit.n_weights, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all angles from N(0, 0.25 / n_weights)."""
        spread = INITIAL_SPREAD / math.sqrt(max(1, self.weights.numel()))
        with torch.no_grad():
            self.weights.normal_(0.0, spread, generator=generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "..."]:
        """Compute predictions or logits; see the class."""
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        flat = inputs.reshape(-1, self.n_inputs)
        with checks.full_precision(flat):
            values = self.backend.expectation(self.circuit, math.pi * flat, self.weights, self.observables)
            return self._readout(values).reshape((*inputs.shape[:-1], *self._output_shape))

    def expectation_of_states(self, amplitudes: Float[Tensor, "batch amplitudes"] | Tensor) -> Float[Tensor, "..."]:
        """Compute predictions for quantum states of the data qubits instead of features.

        Args:
            amplitudes: real or complex, shape (batch, 2**n_inputs), each of norm 1.

        Raises:
            ValueError: the layer has an own circuit; the number of amplitudes is wrong, or a norm is not 1.
        """
        if self.pattern is None:
            raise ValueError(
                "States can be fed only to a layer with a pattern, but this one has an own circuit. Start that "
                "circuit with Circuit.prepare_slots instead."
            )
        checks.require_tensor(amplitudes, "amplitudes")
        is_complex = amplitudes.is_complex()
        parts = [amplitudes.real, amplitudes.imag] if is_complex else [amplitudes]
        parts = [checks.as_inputs(part, self.weights, "amplitudes") for part in parts]
        checks.require_last_dimension(amplitudes, 2**self.n_inputs, "amplitudes")
        if amplitudes.ndim != 2:
            raise ValueError(
                f"Argument `amplitudes` must have shape (batch, {2**self.n_inputs}), but has shape "
                f"{tuple(amplitudes.shape)}."
            )
        circuit = self._state_circuit(is_complex=is_complex)
        with checks.full_precision(amplitudes):
            values = self.backend.expectation(circuit, torch.cat(parts, 1), self.weights, self.observables)
            return self._readout(values).reshape((len(amplitudes), *self._output_shape))

    __prepare_scriptable__ = checks.refuse_scripting

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        circuit = {"circuit": self.circuit} if self.pattern is None else {"pattern": self.pattern}
        readout = {"observable": self.observables[0]} if self.n_classes == 2 else {}
        return {"n_inputs": self.n_inputs, "n_classes": self.n_classes, **circuit, **readout}

    def to_backend(self, backend: Backend | str) -> "QNNClassifier":
        """Run on another backend from now on, with the same weights; return the layer."""
        self.backend = resolve(backend)
        return self

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        shape = f"pattern={self.pattern!r}" if self.pattern is not None else f"circuit={self.circuit!r}"
        return f"n_inputs={self.n_inputs}, {shape}, n_classes={self.n_classes}, backend={self.backend.name!r}"

    @property
    def _output_shape(self) -> tuple[int, ...]:
        return () if self.n_classes == 2 else (self.n_classes,)

    def _readout(self, values: Tensor) -> Tensor:
        """Return one column as it is; convert Y strings over all subsets of read-outs to log-probabilities."""
        if self.n_classes == 2:
            return values[:, 0]
        n_outcomes = values.shape[1] + 1
        signs = torch.tensor(_outcome_signs(n_outcomes), dtype=values.dtype, device=values.device)
        probabilities = (1.0 + values @ signs) / n_outcomes
        floor = torch.finfo(values.dtype).eps  # rounding can take an impossible outcome below zero
        return probabilities[:, : self.n_classes].clamp_min(floor).log()

    def _state_circuit(self, *, is_complex: bool) -> Circuit:
        n_amplitudes = 2**self.n_inputs * (2 if is_complex else 1)
        cache = self.__dict__.setdefault("_state_circuits", {})
        if is_complex not in cache:
            n_readouts = self.circuit.n_qubits - self.n_inputs
            ansatz = classifier.classifier_ansatz(self.n_inputs, self.pattern or "", n_readouts=n_readouts)
            slots = [data(k) for k in range(n_amplitudes)]
            cache[is_complex] = Circuit(ansatz.n_qubits).prepare_slots(slots, range(self.n_inputs)).compose(ansatz)
        return cache[is_complex]


def _require_kinds(pattern: Any, circuit: Any, observable: Any) -> None:
    """Refuse arguments of another kind than a string, a Circuit and an Observable."""
    for value, name, kind in (
        (pattern, "pattern", str),
        (circuit, "circuit", Circuit),
        (observable, "observable", Observable),
    ):
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"Argument `{name}` must be a {kind.__name__}, but is {type(value).__name__}.")


def _observables(
    n_qubits: int, n_readouts: int, n_classes: int, observable: Observable | None
) -> tuple[Observable, ...]:
    """Return Y on the read-out, or Y strings on every non-empty subset of several read-outs."""
    if n_classes == 2:
        return (Y(n_qubits - 1) if observable is None else observable,)
    if observable is not None:
        raise ValueError("Argument `observable` must be None for more than two classes, which read all read-outs.")
    readouts = range(n_qubits - n_readouts, n_qubits)
    return tuple(pauli_string("Y" * len(subset), [readouts[k] for k in subset]) for subset in _subsets(n_readouts))


def _subsets(n_readouts: int) -> list[tuple[int, ...]]:
    return [subset for size in range(1, n_readouts + 1) for subset in combinations(range(n_readouts), size)]


def _outcome_signs(n_outcomes: int) -> Sequence[Sequence[float]]:
    """Return for each subset S and outcome word b the sign prod_{r in S} (-1)**b_r."""
    n_readouts = n_outcomes.bit_length() - 1
    words = [[(word >> (n_readouts - 1 - r)) & 1 for r in range(n_readouts)] for word in range(n_outcomes)]
    return [[(-1.0) ** sum(word[r] for r in subset) for word in words] for subset in _subsets(n_readouts)]
