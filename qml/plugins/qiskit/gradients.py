"""Gradients for qiskit-machine-learning by our backward pass, in place of shifted circuits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qml import checks
from qml.plugins.qiskit.estimator import Estimator, observable_key
from qml.plugins.qiskit.observables import observable_of
from qml.plugins.qiskit.program import NATIVE, Program, program_of, rows_of
from qml.plugins.qiskit.sampler import Sampler, probabilities_of

try:
    from qiskit_machine_learning import gradients as library
except ImportError:  # it is an extra: the classes exist, and their constructors say how to install it
    library = None

BaseEstimatorGradient: Any = object if library is None else library.BaseEstimatorGradient
BaseSamplerGradient: Any = object if library is None else library.BaseSamplerGradient
Items = Sequence[Any]


def _library() -> Any:
    """Return the gradients of qiskit-machine-learning.

    Raises:
        ImportError: it is not installed.
    """
    if library is None:
        checks.require_installed("qiskit_machine_learning", "A gradient needs qiskit-machine-learning", "peers")
    return library


class EstimatorGradient(BaseEstimatorGradient):
    """The gradient of expectation values for qiskit-machine-learning, exact and by one backward pass a batch.

    All samples of one circuit and observable run forward once and backward once. Values are exact, whatever the
    estimator's precision is; with the estimator's noise they are the gradients of noisy values.

    Args:
        estimator: ours, whose noise is taken.
        derivative_type: None, or `DerivativeType.REAL`, which is the same.
        pass_manager: transpiles circuits and observables first, as noise of a device needs it.

    Raises:
        TypeError: another estimator.
        ValueError: a derivative type other than the real one, or options.
        ImportError: qiskit-machine-learning is not installed.

    Example:
        >>> from qiskit_machine_learning.neural_networks import EstimatorQNN
        >>> from qml.plugins.qiskit import Estimator, EstimatorGradient
        >>> estimator = Estimator()
        >>> # EstimatorQNN(circuit=..., estimator=estimator, gradient=EstimatorGradient(estimator), ...)
    """

    def __init__(
        self,
        estimator: Estimator | None = None,
        *,
        derivative_type: Any = None,
        pass_manager: Any = None,
    ) -> None:
        real = _library().DerivativeType.REAL
        estimator = Estimator() if estimator is None else estimator
        checks.require_kind(estimator, "estimator", Estimator, " Use qml.plugins.qiskit.Estimator.")
        if derivative_type not in (None, real):
            raise ValueError(
                f"Argument `derivative_type` must be DerivativeType.REAL, but is {derivative_type}. Use "
                "LinCombEstimatorGradient for the others."
            )
        super().__init__(estimator, derivative_type=real, pass_manager=pass_manager)
        self._noise = estimator.noise
        self._compiled = _Compiled(pass_manager)

    def _run(
        self,
        circuits: Items,
        observables: Items,
        parameter_values: Any,
        parameters: Items,
        **options: Any,
    ) -> Any:
        _refuse(options)
        programs = _Programs(self._compiled, self._noise)
        groups: dict[Any, list[int]] = {}
        keys = []
        for number, (circuit, observable) in enumerate(zip(circuits, observables, strict=True)):
            keys.append(self._compiled.observable(circuit, observable))
            groups.setdefault((id(programs.of(circuit)), keys[-1]), []).append(number)
        gradients: list[Any] = [None] * len(keys)
        for (_, key), group in groups.items():
            circuit = self._compiled.circuit(circuits[group[0]])
            program = programs.of(circuits[group[0]])
            rows = rows_of([parameter_values[number] for number in group])
            table = _mean_gradient(program, rows, observable_of(dict(key), program)).numpy()
            places = {parameter: place for place, parameter in enumerate(circuit.parameters)}
            for row, number in zip(table, group, strict=True):
                gradients[number] = row[[places[parameter] for parameter in parameters[number]]]
        metadata = [{"parameters": each} for each in parameters]
        return _library().EstimatorGradientResult(gradients=gradients, metadata=metadata, options=self._default_options)


class SamplerGradient(BaseSamplerGradient):
    """The gradient of probabilities for qiskit-machine-learning, exact and by backward passes over the batch.

    Probabilities are those of the register `meas` where there is one, else of all registers, the first lowest.

    Args:
        sampler: ours, whose noise is taken.
        pass_manager: transpiles circuits first, as noise of a device needs it.

    Raises:
        TypeError: another sampler.
        ValueError: options, a circuit without measurements, or with more than 16 bits.
        ImportError: qiskit-machine-learning is not installed.
    """

    def __init__(self, sampler: Sampler | None = None, *, pass_manager: Any = None) -> None:
        _library()
        sampler = Sampler() if sampler is None else sampler
        checks.require_kind(sampler, "sampler", Sampler, " Use qml.plugins.qiskit.Sampler.")
        super().__init__(sampler, pass_manager=pass_manager)
        self._noise = sampler.noise
        self._compiled = _Compiled(pass_manager)

    def _run(self, circuits: Items, parameter_values: Any, parameters: Items, **options: Any) -> Any:
        _refuse(options)
        programs = _Programs(self._compiled, self._noise)
        groups: dict[int, list[int]] = {}
        for number, circuit in enumerate(circuits):
            groups.setdefault(id(programs.of(circuit)), []).append(number)
        gradients: list[Any] = [None] * len(circuits)
        for group in groups.values():
            circuit = self._compiled.circuit(circuits[group[0]])
            rows = rows_of([parameter_values[number] for number in group])
            table = _probability_gradient(programs.of(circuits[group[0]]), rows).numpy()
            places = {parameter: place for place, parameter in enumerate(circuit.parameters)}
            for row, number in zip(table, group, strict=True):
                gradients[number] = [
                    dict(enumerate(row[:, places[parameter]].tolist())) for parameter in parameters[number]
                ]
        metadata = [{"parameters": each} for each in parameters]
        return _library().SamplerGradientResult(gradients=gradients, metadata=metadata, options=self._default_options)


MAX_BITS = 16  # whose values all have a gradient


class _Compiled:
    """Circuits after a pass manager, each made once."""

    def __init__(self, pass_manager: Any) -> None:
        self._pass_manager = pass_manager
        self._kept: dict[int, tuple[Any, Any]] = {}

    def circuit(self, circuit: Any) -> Any:
        """Return a circuit as it runs."""
        if self._pass_manager is None:
            return circuit
        if id(circuit) not in self._kept or self._kept[id(circuit)][0] is not circuit:
            self._kept[id(circuit)] = (circuit, self._pass_manager.run(circuit))
        return self._kept[id(circuit)][1]

    def observable(self, circuit: Any, observable: Any) -> Any:
        """Return an observable as it is read, as a key."""
        from qiskit.primitives.containers.observables_array import ObservablesArray

        if self._pass_manager is not None:
            observable = observable.apply_layout(self.circuit(circuit).layout)
        return observable_key(np.asarray(ObservablesArray([observable]))[0])


class _Programs:
    """The programs of the circuits of one run; a circuit that comes again is not read again."""

    def __init__(self, compiled: _Compiled, noise: Any) -> None:
        self._compiled, self._noise = compiled, noise
        self._kept: dict[int, Program] = {}

    def of(self, circuit: Any) -> Program:
        if id(circuit) not in self._kept:
            self._kept[id(circuit)] = program_of(self._compiled.circuit(circuit), self._noise)
        return self._kept[id(circuit)]


def _refuse(options: dict[str, Any]) -> None:
    if options:
        raise ValueError(f"Argument `options` must be empty for exact gradients, but holds {', '.join(options)}.")


def _mean_gradient(program: Program, rows: Tensor, observable: Any) -> Tensor:
    """Return the gradient of an expectation value in each row's parameters, (rows, parameters)."""
    parts = []
    for part in rows.split(program.max_rows):
        leaf = part.clone().requires_grad_()
        with torch.enable_grad():
            values = program.expressions.values(leaf)
            means = NATIVE.expectation(program.circuit, values, values.new_zeros(0), [observable])
            parts.append(_gradient(means.sum(), leaf))
    return torch.cat(parts)


def _probability_gradient(program: Program, rows: Tensor) -> Tensor:
    """Return the gradients of all probabilities, (rows, outcomes, parameters).

    Every row runs once for each outcome, so that one backward pass gives the gradients of all outcomes.
    """
    bits = _measured_bits(program)
    n_outcomes = 2 ** len(bits)
    pairs = torch.cartesian_prod(torch.arange(len(rows)), torch.arange(n_outcomes))
    parts = []
    for pair in pairs.split(program.max_rows):
        leaf = rows[pair[:, 0]].requires_grad_()
        with torch.enable_grad():
            chosen = probabilities_of(program, leaf, bits).gather(1, pair[:, 1:])
            parts.append(_gradient(chosen.sum(), leaf))
    return torch.cat(parts).reshape(len(rows), n_outcomes, rows.shape[1])


def _measured_bits(program: Program) -> list[int]:
    registers = program.registers
    names = ["meas"] if "meas" in registers else list(registers)
    bits = [bit for name in names for bit in registers[name]]
    if not bits or len(bits) > MAX_BITS:
        raise ValueError(
            f"Argument `circuits` must measure at least 1 and at most {MAX_BITS} bits, but one measures {len(bits)}. "
            "Call measure_all() or measure fewer qubits."
        )
    return bits


def _gradient(total: Tensor, leaf: Tensor) -> Tensor:
    if not total.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(total, leaf, allow_unused=True, materialize_grads=True)
    return gradient
