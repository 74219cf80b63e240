"""The device of any Qiskit provider or of pytket, and the names of some: IonQ, IQM, AQT, Amazon Braket, Quantinuum."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from circuits import Circuit
from circuits.plain_checks import has_members
from qml import checks
from qml.backends.primitives.calibration import as_layout
from qml.backends.primitives.pubs import PubBackend
from qml.backends.shift.evaluation import Part
from qml.jobs import DirectRunner, PubResult, Runner, Service, Submission, runner_of


@dataclass(frozen=True, eq=False)
class Provider(PubBackend):
    """The backend that runs circuits on a Qiskit backend of any provider, through its `run`.

    All values are computed from samples. The provider's package holds the credentials and does the talking. Where it
    finds jobs by their ids (`device.retrieve_job`), they are durable: they are written down in the user's data folder
    before they are sent, and a run that is started again gets the results that are there.

    Args:
        device: a `BackendV2` with `run(circuits, shots=...)`.
        shots: runs of each circuit and basis.
        level: Qiskit's optimisation level, 0 to 3.
        layout: as for `Qiskit`.
        transpiled: whether circuits are transpiled for the device's target; without, it gets the gates that every
            simulator has, and compiles them itself.
        run_id: name of the run in the records; None for a new run each time.
        runner: None for a durable one if the device keeps its jobs; others run at once.

    Raises:
        ValueError: no shots, a level that Qiskit does not have, a `run_id` for a device that keeps no jobs.
        TypeError: the device has no `run`.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z
        >>> from qiskit.providers.basic_provider import BasicSimulator
        >>> from qml.backends import Provider
        >>> Provider(BasicSimulator()).expectation(Circuit(1).x(0), torch.zeros(1, 0), torch.zeros(0), [Z(0)])
        tensor([[-1.]])
    """

    device: Any
    _: KW_ONLY
    shots: int | None = 1024
    level: int = 1
    layout: Any = "calibration"
    transpiled: bool = True
    run_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shots is None:
            raise ValueError("Argument `shots` must be an int for a device, but is None. Use 1024.")
        if not has_members(self.device, "run", "target", "name"):
            raise TypeError(f"Argument `device` must be a BackendV2 of Qiskit, but is {type(self.device).__name__}.")
        checks.require_choice(self.level, "level", (0, 1, 2, 3))
        checks.as_flag(self.transpiled, "transpiled")
        object.__setattr__(self, "layout", as_layout(self.layout))
        if self.run_id is not None and not self.service.keeps_jobs:
            raise ValueError(
                f"Argument `run_id` must be None for {self.name}, which keeps no jobs, but is {self.run_id!r}."
            )

    @property
    def name(self) -> str:
        """Return `"provider:"` and the device's name."""
        return f"provider:{self.device.name}"

    @property
    def _channels(self) -> bool:
        return False

    def compiler(self) -> Any:
        """Return the compiler for the device, or for any simulator where the device compiles itself."""
        from qml.backends.primitives.transpile import Compiler

        return Compiler(self.device if self.transpiled else None, level=self.level, layout=self.layout)

    @property
    def service(self) -> Service:
        """Return the service that its submissions go to, the same object at each call."""
        return self._service

    @cached_property
    def _service(self) -> Service:
        from qml.backends.primitives.provider_service import ProviderService

        return ProviderService(self.device)

    def run(self, submission: Submission) -> list[PubResult]:
        """Run a submission as direct jobs: one, or several where the device takes fewer circuits at once."""
        most = getattr(self.device, "max_circuits", None) or len(submission.pubs)
        results: list[PubResult] = []
        for start in range(0, len(submission.pubs), most):
            part = Submission(submission.kind, submission.pubs[start : start + most], submission.options)
            results += DirectRunner(self.service).run(part)
        return results

    def _estimates(self, circuit: Circuit) -> bool:
        return False

    def _bits_of_rows(
        self, circuit: Circuit, parts: Sequence[Part], generator: torch.Generator | None
    ) -> list[np.ndarray]:
        if generator is not None:
            raise ValueError(f"Argument `generator` must be None for {self.name}, which cannot be seeded.")
        single = [(rows[k : k + 1], shots) for rows, shots in parts for k in range(len(rows))]
        bits = iter(super()._bits_of_rows(circuit, single, None))
        return [np.concatenate([next(bits) for _ in rows]) for rows, _ in parts]

    def _send(self, submission: Submission) -> list[PubResult]:
        return super()._send(submission) if self.runner is not None else self._default_runner.run(submission)

    @cached_property
    def _default_runner(self) -> Runner:
        """Return a runner with records in the user's data folder; for devices that keep no jobs, the backend itself."""
        if not self.service.keeps_jobs:
            return self
        return runner_of(self.service, self.run_id, self.name)


def ionq(device: str = "simulator") -> Provider:
    """Return a device of IonQ by its name, `"simulator"` or `"qpu.aria-1"`; the key is in IONQ_API_KEY."""
    checks.require_installed("qiskit_ionq", "Backend ionq needs qiskit-ionq", "ionq")
    from qiskit_ionq import IonQProvider

    return Provider(IonQProvider().get_backend(device if device.startswith("ionq_") else f"ionq_{device}"))


def iqm(device: str = "fake_apollo") -> Provider:
    """Return a device of IQM: a fake one such as `"fake_apollo"`, or a server by its address (token: IQM_TOKEN).

    Raises:
        ImportError: iqm-client with its Qiskit part is not installed; it needs Qiskit 2.1 or older.
        ValueError: no fake device has this name.
    """
    _require_alone("iqm.qiskit_iqm", "iqm", "iqm-client[qiskit]")
    from iqm import qiskit_iqm

    if not device.startswith("fake_"):
        return Provider(qiskit_iqm.IQMProvider(device).get_backend())
    makers = {name.removeprefix("IQM").lower(): name for name in dir(qiskit_iqm) if name.startswith("IQMFake")}
    known = {f"fake_{name.removeprefix('fake')}": maker for name, maker in makers.items() if name != "fakebackend"}
    if device not in known:
        raise ValueError(f"Argument `device` must be one of {', '.join(sorted(known))}, but is {device!r}.")
    return Provider(getattr(qiskit_iqm, known[device])())


def braket(device: str = "local") -> Provider:
    """Return the simulator of Amazon Braket on this machine, or a device of the cloud by its name, such as `"SV1"`.

    Credentials are those of the AWS client. Exact values come from the PennyLane plug-in of the same extra:
    `PennyLane("braket.local.qubit")`.
    """
    checks.require_installed("qiskit_braket_provider", "Backend braket needs qiskit-braket-provider", "braket")
    import qiskit_braket_provider

    if device == "local":
        return Provider(qiskit_braket_provider.BraketLocalBackend())
    return Provider(qiskit_braket_provider.BraketProvider().get_backend(device))


def aqt(device: str = "ideal") -> Provider:
    """Return a simulator of AQT's provider on this machine: `"ideal"`, or `"noisy"` with the errors of its gates.

    A device of the cloud is `Provider(device)`, with a device of a workspace of `AQTProvider().cloud()`, after its
    `log_in()`. Its jobs are durable, as far as this could be read in the provider's source.

    Raises:
        ImportError: qiskit-aqt-provider is not installed; it needs Qiskit 2.4 or older.
        ValueError: another name.
    """
    _require_alone("qiskit_aqt_provider", "aqt", "qiskit-aqt-provider")
    from qiskit_aqt_provider import AQTProvider

    checks.require_choice(device, "device", ("ideal", "noisy"))
    return Provider(getattr(AQTProvider().offline, device)())


def pytket(backend: Any, *, shots: int = 1024) -> Provider:
    """Return the backend that runs circuits on a backend of pytket, which compiles each of them.

    Args:
        backend: a `pytket.backends.Backend` that gives counts, such as `AerBackend()`. Jobs are durable
            where its handles are persistent.
        shots: runs of each circuit and basis.

    Raises:
        ImportError: pytket-qiskit is not installed.
        TypeError: no backend of pytket.
        ValueError: a backend without counts.
    """
    checks.require_installed("pytket.extensions.qiskit", "A backend of pytket needs pytket-qiskit", "pytket")
    from qml.backends.primitives.pytket_device import pytket_device

    return Provider(pytket_device(backend), shots=shots, transpiled=False)


def quantinuum(device: str = "H2-1LE") -> Provider:
    """Return a local emulator of Quantinuum, `"H1-1LE"`, `"H2-1LE"` or `"H2-2LE"`.

    pytket-quantinuum 0.59 compiles for the devices themselves and no longer sends anything to them.

    Raises:
        ImportError: pytket-quantinuum with its emulator, or pytket-qiskit, is not installed.
        ValueError: no local emulator has this name.
    """
    checks.require_installed("pytket.extensions.quantinuum", "Backend quantinuum needs pytket-quantinuum", "quantinuum")
    from pytket.extensions.quantinuum import QuantinuumAPIOffline, QuantinuumBackend

    offline = QuantinuumAPIOffline()
    known = [str(item.device_name) for item in QuantinuumBackend.available_devices(api_handler=offline)]
    checks.require_choice(device, "device", tuple(name for name in known if name.endswith("LE")))
    return pytket(QuantinuumBackend(device, api_handler=offline))


def _require_alone(module: str, name: str, package: str) -> None:
    """Refuse a missing package that needs an environment with an older Qiskit."""
    if not checks.is_installed(module):
        raise ImportError(
            f"Backend {name} needs {package}, which does not go with the newest Qiskit. Install both into an "
            f'environment of their own with: pip install "qml-circuits[{name}]"'
        )
