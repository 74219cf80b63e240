"""Quantum reservoirs: one ring, or an onion of rings."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from circuits.channels import kraus
from circuits.gates import Channel
from qml import checks
from qml.backends import Backend, resolve
from qml.checks import full_precision, require_choice
from qml.nn.reservoirs.feedback import FeedbackReservoir
from qml.nn.reservoirs.persistent import PersistentReservoir
from qml.nn.reservoirs.rings import FeedbackRing, PersistentRing, Ring, as_rings, ring_from_json, ring_to_json
from qml.nn.reservoirs.trajectories import TrajectoryReservoir
from qml.reservoir import Reservoir

MAX_EXACT_QUBITS = 10  # of a persistent ring; above, trajectories
PERSISTENT_ELSEWHERE = (
    "Persistent rings run whole series on another backend by qml.nn.sampled_features(rings, series, backend=...)."
)


class OnionReservoir(Reservoir):
    """An onion quantum reservoir: rings that do not interact, each with its own scale of angles and memory time.

    A `FeedbackRing` starts from |0...0> at every step and is given the last measured values as angles; it runs on any
    backend, all rings of a size and all series in one call a step. A `PersistentRing` keeps its register, of which some
    qubits are measured and reset at every step; it is simulated exactly by the density matrix of its memory, or by
    trajectories above 10 qubits.

    Args:
        rings: `FeedbackRing` and `PersistentRing` objects, at least one.
        n_inputs: numbers that come in at each step.
        shots: measurements of every qubit at each step; None for exact expectation values. The draws of different steps
            of an exactly simulated persistent ring are independent, as if each were repeated from the start.
        noise: a channel of `circuits.channels` on one qubit, applied to every qubit after every layer of gates.
        readout_error: probabilities that 0 reads 1 and that 1 reads 0, of persistent rings; for feedback rings it is an
            option of the backend.
        trajectories: runs of a persistent ring that is too large for density matrices, or None for exact ones.
        backend: where feedback rings run.
        layout: "batched" runs equal rings as one batch, "wide" side by side in one circuit (feedback rings).
        seed: of shots and trajectories; None draws anew each time, as a device must, which cannot be seeded.
        dtype: of states and features.

    Shape:
        (batch, time, n_inputs) to (batch, time, n_features): of every ring all <Z_i> and <Z_i Z_j>, i < j, of the
        measured qubits (all qubits of a feedback ring); a persistent ring gives them once a round.

    Raises:
        ValueError: a ring without qubits, more inputs than qubits that take them, shots below 1.
        TypeError: something that is no ring; an option of another kind.

    Reference:
        "Onion quantum reservoirs", arXiv:2505.22837. The persistent ring's gates are ours.

    Example:
        >>> import torch
        >>> from qml.nn import FeedbackRing, OnionReservoir
        >>> onion = OnionReservoir([FeedbackRing(3, 0.1), FeedbackRing(3, 0.2)])
        >>> onion(torch.randn(4, 7, 1))[0].shape
        torch.Size([4, 7, 12])
    """

    def __init__(  # noqa: PLR0913 - what a device does to all rings alike
        self,
        rings: Sequence[Ring],
        n_inputs: int = 1,
        *,
        shots: int | None = None,
        noise: Channel | None = None,
        readout_error: tuple[float, float] | None = None,
        trajectories: int | None = None,
        backend: Backend | str = "native",
        layout: Literal["batched", "wide"] = "batched",
        seed: int | None = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        chosen = as_rings(rings)
        n_inputs = checks.as_int(n_inputs, "n_inputs", 1)
        shots = None if shots is None else checks.as_shots(shots)
        trajectories = None if trajectories is None else checks.as_int(trajectories, "trajectories", 1)
        seed = None if seed is None else checks.as_int(seed, "seed", 0)
        require_choice(dtype, "dtype", checks.PRECISIONS)
        require_choice(layout, "layout", ("batched", "wide"))
        if noise is not None and not isinstance(noise, Channel):
            raise TypeError(f"Argument `noise` must come from circuits.channels, but is {type(noise).__name__}.")
        if readout_error is not None:
            readout_error = _as_readout_error(readout_error)
            if any(isinstance(ring, FeedbackRing) for ring in chosen):
                raise ValueError(
                    "Argument `readout_error` must be None where rings feed back, which run on a backend. Pass it to "
                    "the backend: backend=Native(readout_error=...)."
                )
        if trajectories is not None and not any(isinstance(ring, PersistentRing) for ring in chosen):
            raise ValueError("Argument `trajectories` must be None where no ring persists.")
        target = resolve(backend)
        _require_use(chosen, target, layout)
        self._options = {"shots": shots, "noise": noise, "readout_error": readout_error, "trajectories": trajectories}
        options = {**self._options, "backend": target, "wide": layout == "wide", "dtype": dtype}
        options["generator"] = None if seed is None else torch.Generator().manual_seed(seed)
        groups: dict[tuple[Any, ...], list[int]] = {}
        for number, ring in enumerate(chosen):
            groups.setdefault(ring.kind, []).append(number)
        parts = [_part([chosen[number] for number in numbers], n_inputs, options) for numbers in groups.values()]
        super().__init__(n_inputs, sum(p.n_features for p in parts), sum(p.state_size for p in parts))
        self.rings, self.layout, self.seed, self.dtype = chosen, layout, seed, dtype
        self.groups, self._members = nn.ModuleList(parts), list(groups.values())
        self._order = self._feature_order()

    @property
    def parts(self) -> list[Reservoir]:
        """Return the groups of equal rings."""
        return [part for part in self.groups if isinstance(part, Reservoir)]

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """See `Reservoir`."""
        return torch.cat([part.initial_state(batch, like) for part in self.parts], 1)

    def place_of(self, inputs: Tensor) -> Tensor:
        """See `Reservoir`."""
        return next(iter(self.parts)).place_of(inputs)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reservoir`."""
        parts = self.parts
        with full_precision(inputs):
            if len(parts) == 1:
                return parts[0].advance(inputs, state)
            split = state.split([part.state_size for part in parts], 1)
            results = [part.advance(inputs, own) for part, own in zip(parts, split, strict=True)]
        features = torch.cat([features for features, _ in results], -1)[..., self._order]
        return features, torch.cat([after for _, after in results], 1)

    @property
    def shots(self) -> int | None:
        """Return the number of measurements of every qubit at each step."""
        return self._options["shots"]

    def single_rings(self) -> list[tuple[Ring, "QuantumReservoir"]]:
        """Return every ring with a reservoir of it alone, exact and with the same noise, on the built-in simulator."""
        noise = self._options["noise"]
        return [(ring, QuantumReservoir(ring, self.n_inputs, noise=noise, dtype=self.dtype)) for ring in self.rings]

    def to_backend(self, backend: Backend | str) -> "OnionReservoir":
        """Run feedback rings on another backend from now on.

        Raises:
            ValueError: no ring feeds back. Whole series of persistent rings run elsewhere by `sampled_features`.
        """
        target = resolve(backend)
        feedback = [part for part in self.parts if isinstance(part, FeedbackReservoir)]
        if not feedback:
            raise ValueError(
                f"A reservoir must have feedback rings to move to another backend, but has none. {PERSISTENT_ELSEWHERE}"
            )
        for part in feedback:
            part.backend = target
        return self

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments but the backend; see `Reservoir`."""
        noise = self._options["noise"]
        written = None if noise is None else [noise.kraus.values.real.tolist(), noise.kraus.values.imag.tolist()]
        return {
            **self._options,
            "noise": written,
            "rings": [ring_to_json(ring) for ring in self.rings],
            "n_inputs": self.n_inputs,
            "layout": self.layout,
            "seed": self.seed,
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OnionReservoir":
        """Build the reservoir of a `config`."""
        options = dict(config)
        rings, noise = [ring_from_json(ring) for ring in options.pop("rings")], options["noise"]
        if noise is not None:
            real, imaginary = torch.tensor(noise, dtype=torch.float64)
            options["noise"] = kraus(torch.complex(real, imaginary).numpy())
        if options["readout_error"] is not None:
            options["readout_error"] = tuple(options["readout_error"])
        options["dtype"] = getattr(torch, options["dtype"])
        if cls is QuantumReservoir:
            return QuantumReservoir(rings[0], **options)
        return cls(rings, **options)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"n_inputs={self.n_inputs}, rings={list(self.rings)}"

    def _feature_order(self) -> Tensor:
        """Return the places of the features of ring 0, 1, ... among those of the groups."""
        numbers = [number for members in self._members for number in members]
        widths = [part.n_features // len(members) for part, members in zip(self.parts, self._members, strict=True)]
        sizes = [width for width, members in zip(widths, self._members, strict=True) for _ in members]
        with torch.inference_mode(False), torch.device("cpu"):  # it serves gradients too, and is in no state
            places = torch.arange(self.n_features).split(sizes)
            return torch.cat([places[numbers.index(number)] for number in range(len(numbers))])


class QuantumReservoir(OnionReservoir):
    """A quantum reservoir of one ring, which is otherwise as `OnionReservoir`.

    Args:
        ring: the ring.
        n_inputs: numbers that come in at each step.
        options: those of `OnionReservoir`.
    """

    def __init__(self, ring: Ring, n_inputs: int = 1, **options: Any) -> None:
        super().__init__([ring], n_inputs, **options)


def _part(rings: list[Ring], n_inputs: int, options: dict[str, Any]) -> Reservoir:
    common = {name: options[name] for name in ("shots", "noise", "generator", "dtype")}
    feedback = tuple(ring for ring in rings if isinstance(ring, FeedbackRing))
    if feedback:
        return FeedbackReservoir(feedback, n_inputs, backend=options["backend"], wide=options["wide"], **common)
    persistent = tuple(ring for ring in rings if isinstance(ring, PersistentRing))
    common["readout_error"] = options["readout_error"]
    if options["trajectories"] is not None:
        return TrajectoryReservoir(persistent, n_inputs, n_runs=options["trajectories"], **common)
    if persistent[0].n_qubits > MAX_EXACT_QUBITS:
        raise ValueError(
            f"A persistent ring must have at most {MAX_EXACT_QUBITS} qubits for an exact density matrix, but has "
            f"{persistent[0].n_qubits}. Pass trajectories=, for example 200."
        )
    return PersistentReservoir(persistent, n_inputs, **common)


def _require_use(rings: tuple[Ring, ...], backend: Backend, layout: str) -> None:
    """Refuse options of feedback rings where there are none."""
    if any(isinstance(ring, FeedbackRing) for ring in rings):
        return
    # a backend with a closed form has no option that would be ignored
    for name, value, is_used in (
        ("backend", backend, not backend.capabilities.closed_form),
        ("layout", layout, layout != "batched"),
    ):
        if is_used:
            raise ValueError(
                f"Argument `{name}` must be left out where no ring feeds back, but is {value!r}. {PERSISTENT_ELSEWHERE}"
            )


def _as_readout_error(values: Any) -> tuple[float, float]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 2:
        raise ValueError(f"Argument `readout_error` must be two probabilities in [0, 1], but is {values!r}.")
    up, down = (checks.as_number(value, "readout_error", at_least=0.0, at_most=1.0) for value in values)
    return up, down
