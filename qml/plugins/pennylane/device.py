"""The built-in simulator as a PennyLane device."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.exceptions import DeviceError
from pennylane.transforms import broadcast_expand
from pennylane.transforms.core import CompilePipeline

from qml.plugins.pennylane import derivatives, interfaces
from qml.plugins.pennylane.execution import as_numpy, as_result, run_exactly
from qml.plugins.pennylane.preparation import NAME, prepare, single_numbers
from qml.plugins.pennylane.sampling import run_with_shots

BACKPROP, DEVICE = "backprop", ("adjoint", "device")
DIFFERENTIATED = ("autograd", "torch", "jax", "jax-jit", "numpy", "auto")  # interfaces
Seed = int | np.random.Generator | np.random.SeedSequence | None


@simulator_tracking
@single_tape_support
class NativeDevice(Device):
    """The PennyLane device `"qml.native"`: the simulator of this package below an unchanged PennyLane program.

    A tape is read once a structure (its gates, wires and measurements); its parameters become slots, one value a sample
    where they have a batch axis. Every later call costs PennyLane's own bookkeeping and one run of the simulator. Tapes
    of one structure in one batch, as gradient transforms make them, run together.

    With `diff_method="best"` or `"backprop"` derivatives of any order are exact, under torch, autograd and jax. With
    `"adjoint"` or `"device"` the device provides Jacobians and vector-Jacobian products, of first order. Noise channels
    run as density matrices. Mid-circuit measurements are deferred to further qubits, which need no wires of the device;
    post-selection is exact.

    Args:
        wires: the number of wires or their labels; None for those of each tape.
        shots: runs of each tape; None for exact results.
        seed: of the samples, for a run that can be repeated.
        dtype: `torch.float64`, or `torch.float32` for half the memory and time.

    Raises:
        DeviceError: an operation, a measurement or an option that this device does not have.

    Example:
        >>> import pennylane as pl
        >>> from qml.plugins.pennylane import NativeDevice
        >>> @pl.qnode(NativeDevice(wires=1))
        ... def node(angle):
        ...     pl.RX(angle, 0)
        ...     return pl.expval(pl.Z(0))
        >>> float(node(0.0))
        1.0
    """

    def __init__(
        self, wires: Any = None, shots: Any = None, *, seed: Seed = None, dtype: torch.dtype = torch.float64
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"Argument `dtype` must be torch.float32 or torch.float64, but is {dtype}.")
        self._dtype = dtype
        self._generator = np.random.default_rng(seed)

    @property
    def name(self) -> str:
        """Return `"qml.native"`."""
        return NAME

    def setup_execution_config(self, config: ExecutionConfig | None = None, circuit: Any = None) -> ExecutionConfig:
        """Return the configuration with the choices of this device.

        Raises:
            DeviceError: an option or a method of mid-circuit measurement that this device does not have.
        """
        del circuit
        config = config or ExecutionConfig()
        mid_circuit: Any = config.mcm_config
        if config.device_options:
            raise DeviceError(f"{NAME} has no device options, but got {', '.join(config.device_options)}.")
        if mid_circuit.mcm_method not in (None, "deferred", "device"):
            raise DeviceError(
                f"mcm_method must be 'deferred' on {NAME}, but is '{mid_circuit.mcm_method!s}'. It is exact, and "
                "its wires are not counted."
            )
        method = BACKPROP if config.gradient_method == "best" else config.gradient_method
        own = method == BACKPROP or method in DEVICE
        return replace(
            config,
            gradient_method=method,
            use_device_gradient=own if config.use_device_gradient is None else config.use_device_gradient,
            use_device_jacobian_product=method in DEVICE,
            grad_on_execution=False,
            convert_to_numpy=method != BACKPROP,
            mcm_config=replace(mid_circuit, mcm_method="deferred"),
        )

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """Return the transforms that make a tape ready."""
        config = execution_config or ExecutionConfig()
        pipeline = CompilePipeline()
        pipeline.add_transform(prepare, self.wires)
        if config.gradient_method in DEVICE:
            pipeline.add_transform(single_numbers)
            pipeline.add_transform(broadcast_expand)
        return pipeline

    def supports_derivatives(self, execution_config: ExecutionConfig | None = None, circuit: Any = None) -> bool:
        """Tell whether the device differentiates itself: exact results do, samples do not."""
        if execution_config is None:
            return True
        if circuit is not None and circuit.shots:
            return False
        method = execution_config.gradient_method
        if method in ("best", BACKPROP):
            return str(getattr(execution_config.interface, "value", execution_config.interface)) in DIFFERENTIATED
        return method in DEVICE

    supports_jvp = supports_derivatives
    supports_vjp = supports_derivatives

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Return the results of tapes."""
        config = execution_config or ExecutionConfig()
        exact = [number for number, tape in enumerate(circuits) if not tape.shots]
        tapes = [circuits[number] for number in exact]
        results = dict(zip(exact, self._exact(tapes, config), strict=True))
        mid_circuit: Any = config.mcm_config
        for number, tape in enumerate(circuits):
            if number not in results:
                results[number] = run_with_shots(
                    tape, self.wires, self._dtype, self._generator, mid_circuit.postselect_mode
                )
        return tuple(results[number] for number in range(len(circuits)))

    def _exact(self, tapes: Sequence[Any], config: ExecutionConfig) -> list[Any]:
        if not tapes:
            return []
        interface = interfaces.interface_of_tapes(tapes)
        if config.gradient_method == BACKPROP and interface in ("autograd", "jax"):
            return [interfaces.run_lifted(tape, self.wires, self._dtype, interface) for tape in tapes]
        values = run_exactly(tapes, self.wires, self._dtype)
        if interface == "torch" and config.gradient_method in (BACKPROP, None):
            return [as_result(item) for item in values]
        return [as_result(as_numpy(item)) for item in values]

    def compute_derivatives(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Return the Jacobians of tapes."""
        del execution_config
        return derivatives.jacobians(circuits, self.wires, self._dtype)

    def execute_and_compute_derivatives(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Return the results and the Jacobians of tapes."""
        results = tuple(as_result(as_numpy(item)) for item in run_exactly(circuits, self.wires, self._dtype))
        return results, self.compute_derivatives(circuits, execution_config)

    def compute_vjp(self, circuits: Any, cotangents: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Return the vector-Jacobian products of tapes."""
        del execution_config
        return derivatives.vector_products(circuits, cotangents, self.wires, self._dtype)

    def execute_and_compute_vjp(
        self, circuits: Any, cotangents: Any, execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Return the results and the vector-Jacobian products of tapes."""
        results = tuple(as_result(as_numpy(item)) for item in run_exactly(circuits, self.wires, self._dtype))
        return results, self.compute_vjp(circuits, cotangents, execution_config)

    def compute_jvp(self, circuits: Any, tangents: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Return the Jacobian-vector products of tapes."""
        del execution_config
        return derivatives.tangent_products(circuits, tangents, self.wires, self._dtype)

    def execute_and_compute_jvp(
        self, circuits: Any, tangents: Any, execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Return the results and the Jacobian-vector products of tapes."""
        results = tuple(as_result(as_numpy(item)) for item in run_exactly(circuits, self.wires, self._dtype))
        return results, self.compute_jvp(circuits, tangents, execution_config)
