"""IBM's devices through the Runtime client, and fake ones through its local testing mode."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal

import torch

from circuits import Circuit
from qml import checks
from qml.backends.primitives.calibration import as_layout
from qml.backends.primitives.noise import fake_device
from qml.backends.primitives.pubs import Kind, PubBackend
from qml.jobs import LocalService, PubResult, Runner, Service, Submission, answers, runner_of

IBM_LIBRARY = "Backend IBM needs qiskit-ibm-runtime"
N_DEFAULT_NOISE_FACTORS = 3  # of the client's extrapolation at resilience level 2
MITIGATION = ("resilience_level", "readout_mitigation", "zne")  # options for expectation values only


@dataclass(frozen=True, eq=False)
class IBM(PubBackend):
    """The backend that runs circuits on a device of IBM Quantum, given by its name or as the client's object.

    Credentials stay where the client keeps them: save them once with `QiskitRuntimeService.save_account`. A name that
    begins with `fake_`, or a fake device, runs in the client's local testing mode, on only the qubits that are used.

    Expectation values of unitary circuits come from the client's estimator, everything else from its sampler; the new
    line of both (`executor_estimator`, `executor_sampler`) is taken where it is installed. All options below are off by
    default, and are written into the metadata of every result.

    Args:
        device: a name such as `"ibm_torino"` or `"fake_torino"`, or a Qiskit backend.
        instance: of the account; None for the client's default.
        shots: runs of each circuit and basis.
        layout: `"calibration"` (the qubits with the day's least errors), `"connectivity"` (by the couplings alone), or
            the device's qubits in order. Qubits and couplers that the calibration calls broken are never taken.
        level: Qiskit's optimisation level, 0 to 3.
        dynamical_decoupling: None, `"XX"`, `"XpXm"` or `"XY4"`.
        twirling: whether gates and measurements are twirled.
        resilience_level: the client's: 0 for none, 1 for read-out, 2 for zero-noise extrapolation too.
        readout_mitigation: whether read-out errors are mitigated (TREX), whatever the level says.
        zne: noise factors of zero-noise extrapolation, at least two; empty for none. The fit is a line: the client's
            exponential has no bound, and gives thousands where a value is near 0.
        batch: whether the jobs of this backend go into one batch of the client.
        run_id: name of the run in the records. A script that names its run and is started again after a crash gets the
            results that are there and pays for nothing twice. None for a new run each time.
        runner: None for a durable one, which writes jobs down in the user's data folder before it sends them. Fake
            devices, which cost nothing, run at once.

    Raises:
        ImportError: qiskit-ibm-runtime is not installed.
        PermissionError: no credentials, when the device is first needed.
        ValueError: mitigation is asked for circuits that go to the sampler; a generator is given for a device.

    Reference:
        The client's own documentation describes its mitigation; none of it is ours.
    """

    device: Any
    _: KW_ONLY
    instance: str | None = None
    shots: int | None = 4096
    layout: Any = "calibration"
    level: int = 1
    dynamical_decoupling: Literal["XX", "XpXm", "XY4"] | None = None
    twirling: bool = False
    resilience_level: int = 0
    readout_mitigation: bool = False
    zne: Sequence[float | int] = ()
    batch: bool = False
    run_id: str | None = None

    def __post_init__(self) -> None:
        checks.require_installed("qiskit_ibm_runtime", IBM_LIBRARY, "ibm")
        super().__post_init__()
        if self.shots is None:
            raise ValueError("Argument `shots` must be an int for a device, but is None. Use 4096.")
        checks.require_choice(self.level, "level", (0, 1, 2, 3))
        object.__setattr__(self, "layout", as_layout(self.layout))
        checks.require_choice(self.resilience_level, "resilience_level", (0, 1, 2))
        checks.require_choice(self.dynamical_decoupling, "dynamical_decoupling", (None, "XX", "XpXm", "XY4"))
        if self.zne and (len(self.zne) < 2 or min(self.zne) < 1):
            raise ValueError(f"Argument `zne` must hold at least two factors of at least 1, but is {self.zne!r}.")
        if self._is_local and self.batch:
            raise ValueError("Argument `batch` must be False for a fake device, which has no batches, but is True.")
        if self._is_local and self.run_id is not None:
            raise ValueError("Argument `run_id` must be None for a fake device, whose runs are not kept. Use a runner.")
        if isinstance(self.device, str) and self._is_local:
            fake_device(self.device)

    @property
    def name(self) -> str:
        """Return `"ibm:"` and the device's name."""
        return f"ibm:{self.device if isinstance(self.device, str) else self.device.name}"

    @property
    def _channels(self) -> bool:
        return False

    @property
    def _is_local(self) -> bool:
        if isinstance(self.device, str):
            return self.device.startswith("fake_")
        return getattr(self.device, "service", None) is None

    @cached_property
    def _target(self) -> Any:
        """Return the Qiskit backend."""
        if not isinstance(self.device, str):
            return self.device
        return fake_device(self.device) if self._is_local else cloud_device(self.device, self.instance)

    def compiler(self) -> Any:
        """Return the compiler for the device; a fake one is cut down to the qubits in use."""
        from qml.backends.primitives.transpile import Compiler

        return Compiler(self._target, level=self.level, layout=self.layout, compact=self._is_local)

    @property
    def service(self) -> Service:
        """Return the service that its submissions go to, the same object at each call."""
        return self._service

    @cached_property
    def _service(self) -> Service:
        from qml.backends.primitives.ibm_service import RuntimeService
        from qml.backends.primitives.submissions import circuit_cost

        if self._is_local:
            return LocalService(self.name, self.run, lambda circuit: circuit_cost(circuit, self._target))
        return RuntimeService(self._target, batch=self.batch)

    def options(self, kind: Kind, generator: torch.Generator | None = None) -> Mapping[str, Any]:
        """Return the client's options that are not at their defaults, for either line of the client."""
        if generator is not None:
            raise ValueError(f"Argument `generator` must be None for {self.name}, which cannot be seeded. Use Aer().")
        if kind == "sampler" and any(getattr(self, name) for name in MITIGATION):
            raise ValueError(
                f"Options {', '.join(MITIGATION)} must be off for samples and mid-circuit operations, which the client "
                "does not mitigate. Turn them off, or ask for expectation values of a unitary circuit."
            )
        options: dict[str, Any] = {}
        if self.dynamical_decoupling is not None:
            options["dynamical_decoupling"] = {"enable": True, "sequence_type": self.dynamical_decoupling}
        if self.twirling:
            options["twirling"] = {"enable_gates": True, "enable_measure": True}
        if kind == "sampler":
            return options
        options["resilience_level"] = self.resilience_level
        resilience: dict[str, Any] = {}
        if self.readout_mitigation:
            resilience["measure_mitigation"] = True
        if self.zne:
            factors = [float(factor) for factor in self.zne]
            resilience |= {"zne_mitigation": True, "zne": {"noise_factors": factors, "extrapolator": "linear"}}
        return options | ({"resilience": resilience} if resilience else {})

    def overhead(self, kind: Kind) -> int:
        """Return the number of noise factors: an extrapolation makes one run for each."""
        if kind == "sampler":
            return 1
        return len(self.zne) or (N_DEFAULT_NOISE_FACTORS if self.resilience_level == 2 else 1)

    def run(self, submission: Submission) -> list[PubResult]:
        """Run a submission: a fake device in this process, another one through a direct job."""
        from qml.backends.primitives.ibm_service import run_locally
        from qml.jobs import DirectRunner

        return run_locally(self._target, submission) if self._is_local else DirectRunner(self.service).run(submission)

    def _send(self, submission: Submission) -> list[PubResult]:
        return answers.checked(submission, (self.runner or self._default_runner).run(submission))

    @cached_property
    def _default_runner(self) -> Runner:
        """Return a runner with records in the user's data folder; for fake devices, the backend itself."""
        if self._is_local:
            return self
        return runner_of(self.service, self.run_id, self.name)

    def _estimates(self, circuit: Circuit) -> bool:
        return not any(op.is_mid_circuit for op in circuit.operations)


def cloud_device(name: str, instance: str | None) -> Any:
    """Return a device of the account that the client has saved.

    Raises:
        PermissionError: there are no credentials, or wrong ones.
        ValueError: no instance or no device has this name; the message lists the devices of the account.
        ConnectionError: the account could not be asked.
    """
    from qiskit.providers.exceptions import QiskitBackendNotFoundError
    from qiskit_ibm_runtime import QiskitRuntimeService
    from qiskit_ibm_runtime.accounts.exceptions import AccountsError, CloudResourceNameResolutionError
    from qiskit_ibm_runtime.exceptions import IBMError, IBMInputValueError, IBMNotAuthorizedError

    try:
        service = QiskitRuntimeService(instance=instance)
    except (CloudResourceNameResolutionError, IBMInputValueError) as error:
        raise ValueError(
            f"Argument `instance` must be one of the account's, or None for its default, but is {instance!r}, of which "
            f"the Runtime client says: {error}"
        ) from error
    except (AccountsError, IBMNotAuthorizedError) as error:
        raise PermissionError(
            f"Backend IBM must find credentials of the Runtime client, but it says: {error} Save them once with "
            'QiskitRuntimeService.save_account(token="...", instance="..."), or use IBM("fake_torino").'
        ) from error
    except IBMError as error:
        raise ConnectionError(f"Backend IBM could not ask the account: {error}") from error
    try:
        return service.backend(name)
    except QiskitBackendNotFoundError as error:
        names = ", ".join(sorted(str(device.name) for device in service.backends()))
        raise ValueError(f"Argument `device` must be one of {names}, but is {name!r}.") from error
    except IBMInputValueError as error:
        raise ValueError(
            f"Argument `instance` must be one of the account's that has {name!r}, but is {instance!r}, of which the "
            f"Runtime client says: {error}"
        ) from error
    except IBMError as error:
        raise ConnectionError(f"Backend IBM could not ask the account for {name!r}: {error}") from error
