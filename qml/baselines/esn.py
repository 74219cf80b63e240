"""Echo state networks, with a spectrum of one radius or of rings."""

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qml import checks
from qml.baselines._matrices import as_matrix, as_numbers, as_seed, as_share, draw_input_weight, sparse_normal
from qml.baselines._slices import pays, run_slices
from qml.baselines._sparse import ConstantMatrix, SparseStep
from qml.baselines._spectra import annular_matrix, scaled_to_radius
from qml.checks import is_finite
from qml.reservoir import Reservoir

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh_, "identity": lambda values: values}


class EchoStateNetwork(Reservoir):
    r"""An echo state network, which evolves by s_t = (1 - a) s_{t-1} + a tanh(W_in (1, c u_t) + W s_{t-1}).

    A series alone and a whole batch are driven by one sparse product a step, of density * units**2 * batch
    multiplications; many series of a large network by one for each slice of them that stays in cache.

    Args:
        n_inputs: numbers in u_t.
        units: size of s.
        spectral_radius: largest eigenvalue modulus of W.
        density: share of the entries of W that are not zero, in (0, 1]; these are normal.
        leak_rate: a in (0, 1].
        input_scaling: c.
        bias_scaling: the bias column of W_in is uniform in [-bias_scaling, bias_scaling], its others in [-1, 1].
        activation: "tanh", or "identity" for a linear network.
        include_inputs: whether c u_t is put before s_t in the features.
        start: every entry of the state before the first step.
        seed: of both matrices.
        dtype: of both matrices; the features have it too.

    Shape:
        (batch, time, n_inputs) to (batch, time, units), or n_inputs more.

    Attributes:
        input_weight: W_in, shape (units, 1 + n_inputs).
        row_starts, columns, values: W in compressed rows.

    Raises:
        ValueError: no units, a density or leak rate outside of (0, 1], a negative radius; NaN in a matrix, which is
            seen at the last state of a call (infinity in W_in may saturate and go unseen).
        TypeError: an option of another kind, such as a string for a number; a network in half precision.

    Reference:
        Jaeger, GMD report 148 (2001); Lukosevicius, doi:10.1007/978-3-642-35289-8_36.
    """

    input_weight: Tensor
    row_starts: Tensor
    columns: Tensor
    values: Tensor

    def __init__(  # noqa: PLR0913 - the network's own numbers
        self,
        n_inputs: int,
        units: int = 500,
        *,
        spectral_radius: float = 0.9,
        density: float = 0.1,
        leak_rate: float = 1.0,
        input_scaling: float = 1.0,
        bias_scaling: float = 0.0,
        activation: str = "tanh",
        include_inputs: bool = False,
        start: float = 0.0,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        units, n_inputs = checks.as_int(units, "units", 1), checks.as_int(n_inputs, "n_inputs", 1)
        density = as_share(density, "density")
        spectral_radius = checks.as_number(spectral_radius, "spectral_radius", at_least=0.0)
        bias_scaling = checks.as_number(bias_scaling, "bias_scaling")
        seed = as_seed(seed)
        generator = np.random.default_rng(seed)
        input_weight = draw_input_weight(generator, units, n_inputs, bias_scaling)
        recurrent = scaled_to_radius(sparse_normal(generator, units, density), spectral_radius)
        self._set_up(n_inputs, units, leak_rate, input_scaling, activation, include_inputs=include_inputs, start=start)
        self._register(input_weight, recurrent, dtype)

    def _set_up(
        self,
        n_inputs: int,
        units: int,
        leak_rate: float,
        input_scaling: float,
        activation: str,
        *,
        include_inputs: bool,
        start: float,
    ) -> None:
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise ValueError(f"Argument `activation` must be one of {', '.join(ACTIVATIONS)}, but is {activation!r}.")
        has_inputs = checks.as_flag(include_inputs, "include_inputs")
        Reservoir.__init__(self, n_inputs, units + (n_inputs if has_inputs else 0), units)
        self.units, self.leak_rate, self.activation = units, as_share(leak_rate, "leak_rate"), activation
        self.input_scaling = checks.as_number(input_scaling, "input_scaling")
        self.include_inputs, self.start = has_inputs, checks.as_number(start, "start")

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "EchoStateNetwork":
        """Apply as `torch.nn.Module`; a matrix that leaves the meta device has no entries and is marked by NaN."""
        was_meta = self.values.is_meta
        super()._apply(fn, recurse)
        if was_meta and not self.values.is_meta:
            with torch.no_grad():
                for values, mark in ((self.input_weight, math.nan), (self.values, math.nan), (self.columns, 0)):
                    values.fill_(mark)
                self.row_starts.zero_()
        return self

    def _register(self, input_weight: np.ndarray, recurrent: Any, dtype: torch.dtype) -> None:
        from scipy.sparse import csr_array

        checks.require_choice(dtype, "dtype", checks.PRECISIONS)
        rows = csr_array(recurrent)
        self.register_buffer("input_weight", torch.as_tensor(input_weight, dtype=dtype))
        self.register_buffer("row_starts", torch.as_tensor(rows.indptr.astype(np.int32)))
        self.register_buffer("columns", torch.as_tensor(rows.indices.astype(np.int32)))
        self.register_buffer("values", torch.as_tensor(rows.data, dtype=dtype))

    @classmethod
    def from_matrices(
        cls,
        input_weight: Any,
        recurrent: Any,
        *,
        leak_rate: float = 1.0,
        input_scaling: float = 1.0,
        activation: str = "tanh",
        include_inputs: bool = False,
        start: float = 0.0,
        dtype: torch.dtype = torch.float64,
    ) -> "EchoStateNetwork":
        """Build a network with given matrices.

        Args:
            input_weight: W_in, shape (units, 1 + n_inputs), the bias first.
            recurrent: W, shape (units, units), dense or a SciPy sparse array.
            leak_rate: see the class, as all others.
            input_scaling: c.
            activation: "tanh" or "identity".
            include_inputs: whether c u_t is among the features.
            start: every entry of the first state.
            dtype: of both matrices.
        """
        entry = as_matrix(input_weight, "input_weight")
        recurrent = as_matrix(recurrent, "recurrent")
        if entry.ndim != 2 or entry.shape[1] < 2 or recurrent.shape != (len(entry), len(entry)):
            raise ValueError(
                "Arguments `input_weight` and `recurrent` must have shapes (units, 1 + n_inputs) and (units, units), "
                f"but have {entry.shape} and {recurrent.shape}."
            )
        network = EchoStateNetwork.__new__(EchoStateNetwork)
        n_inputs = entry.shape[1] - 1
        network._set_up(
            n_inputs, len(entry), leak_rate, input_scaling, activation, include_inputs=include_inputs, start=start
        )
        network._register(entry, recurrent, dtype)
        checks.require_finite(network.values, "recurrent")
        checks.require_finite(network.input_weight, "input_weight")
        return network

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """See `Reservoir`."""
        return self.place_of(like).new_full((batch, self.units), self.start)

    def place_of(self, inputs: Tensor) -> Tensor:
        """See `Reservoir`.

        Raises:
            TypeError: a network in half precision.
        """
        values = self.values
        checks.require_full_precision(values)
        return values

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reservoir`; the state is held as columns, one a series."""
        with _own_precision(inputs):
            features, end = self._advance(
                self.input_scaling * inputs.to(self.values.dtype), state.to(self.values.dtype)
            )
        self._require_finite(end)
        return features, end

    def _advance(self, scaled: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        batch = len(scaled)
        derived = torch.is_grad_enabled() and (scaled.requires_grad or state.requires_grad)
        if checks.in_functorch() or checks.in_forward_mode():  # which sparse tensors do not take part in
            states, end = self._run(self._drive(scaled), state.mT, self._matrix().dense(), torch.addmm)
            return self._with_inputs(scaled, states.permute(2, 0, 1)), end.mT
        if not derived and pays(self.units, batch, state):
            activate = ACTIVATIONS[self.activation]
            states, end = run_slices(self.recurrent(), self.input_weight, scaled, state, self.leak_rate, activate)
            return self._with_inputs(scaled, states.permute(2, 0, 1)), end
        drive, matrix = self._drive(scaled), self._matrix() if derived else self.recurrent()
        if batch == 1:  # a product with a vector is faster than with a matrix of one column
            product = SparseStep.apply if derived else torch.addmv
            states, end = self._run(drive[:, :, 0], state[0], matrix, product, in_place=not derived)
            return self._with_inputs(scaled, states[None]), end[None]
        product = SparseStep.apply if derived else torch.addmm
        states, end = self._run(drive, state.mT, matrix, product, in_place=not derived)
        return self._with_inputs(scaled, states.permute(2, 0, 1)), end.mT

    def _drive(self, scaled: Tensor) -> Tensor:
        """Compute W_in (1, c u_t) of all steps, (time, units, batch)."""
        bias, weight = self.input_weight[:, :1], self.input_weight[:, 1:]
        return torch.baddbmm(bias[None], weight.expand(scaled.shape[1], -1, -1), scaled.permute(1, 2, 0))

    def _with_inputs(self, scaled: Tensor, states: Tensor) -> Tensor:
        """Return the features (batch, time, features)."""
        return torch.cat([scaled, states], -1) if self.include_inputs else states

    def _require_finite(self, end: Tensor) -> None:
        """Refuse NaN in the matrices, by what it makes of the last state: one look a call, not at every entry."""
        if is_finite(end):
            return
        for name in ("input_weight", "values"):
            if not bool(getattr(self, name).isfinite().all()):
                raise ValueError(
                    f"Buffer `{name}` must be finite, but holds NaN or infinity. Load a state of the network."
                )
        raise ValueError("The states must stay finite, but overflow. Take a smaller spectral radius or inputs.")

    def _run(
        self, drive: Tensor, now: Tensor, matrix: Any, product: Callable[..., Tensor], *, in_place: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Compute all states, (time, units) or (time, units, batch), and the last; they overwrite the drive at will."""
        activate = ACTIVATIONS[self.activation]
        states = []
        for step in drive:
            driven = activate(product(step, matrix, now, out=step) if in_place else product(step, matrix, now))
            if self.leak_rate != 1.0:
                driven = torch.lerp(now, driven, self.leak_rate, **({"out": driven} if in_place else {}))
            states.append(driven)
            now = driven
        return (drive if in_place else torch.stack(states)), now.clone() if in_place else now

    def recurrent(self) -> Tensor:
        """Return W as a sparse tensor, shape (units, units)."""
        return self._matrix().rows

    def _matrix(self) -> ConstantMatrix:
        _hear_of_sparse_tensors()
        return ConstantMatrix(self.row_starts, self.columns, self.values)

    def config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make room for the matrices, which a file holds."""
        names = ("n_inputs", "units", "leak_rate", "input_scaling", "activation", "include_inputs", "start")
        numbers = {name: getattr(self, name) for name in names}
        return numbers | {"n_entries": len(self.values), "dtype": str(self.values.dtype).removeprefix("torch.")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EchoStateNetwork":
        """Build a network of that size; its matrices are to be loaded."""
        options = dict(config)
        dtype, n_entries = getattr(torch, options.pop("dtype")), options.pop("n_entries")
        network = cls.__new__(cls)
        network._set_up(**options)
        network.register_buffer("input_weight", torch.zeros(network.units, 1 + network.n_inputs, dtype=dtype))
        network.register_buffer("row_starts", torch.zeros(network.units + 1, dtype=torch.int32))
        network.register_buffer("columns", torch.zeros(n_entries, dtype=torch.int32))
        network.register_buffer("values", torch.zeros(n_entries, dtype=dtype))
        return network

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride] - torch calls it so
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        """Load as `nn.Module`, and accept matrices of another seed or density, which have another number of entries."""
        rows, columns, values = (state_dict.get(f"{prefix}{name}") for name in ("row_starts", "columns", "values"))
        if isinstance(rows, Tensor) and isinstance(columns, Tensor) and isinstance(values, Tensor):
            if not self._has_rows(rows, columns, values):
                rest[-1].append(
                    f"{prefix}row_starts, columns and values must be a matrix of {self.units} compressed rows, as of a "
                    f"network of {self.units} units, but are none. Build the network with the units of the state."
                )
                return
            self.columns = self.columns.new_empty(columns.shape)
            self.values = self.values.new_empty(values.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _has_rows(self, rows: Tensor, columns: Tensor, values: Tensor) -> bool:
        """Tell whether these are a square matrix in compressed rows; sparse products trust that they are."""
        if rows.shape != (self.units + 1,) or columns.ndim != 1 or columns.shape != values.shape:
            return False
        if any(part.is_floating_point() or part.is_complex() for part in (rows, columns)):
            return False
        if rows.is_meta or columns.is_meta:
            return True
        ascending = bool(rows[0] == 0 and rows[-1] == len(columns) and (rows.diff() >= 0).all())
        return ascending and (not len(columns) or bool(columns.min() >= 0 and columns.max() < self.units))

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"n_inputs={self.n_inputs}, units={self.units}, leak_rate={self.leak_rate}"


class OnionESN(EchoStateNetwork):
    r"""An echo state network of groups that do not see each other, each with the eigenvalues of one annulus.

    Group k has its eigenvalues in radii[k] <= |lambda| <= radii[k + 1], uniform over the annulus for a large group, so
    it remembers for times around -1 / log |lambda| steps. All groups see the same input, and all are read out.

    Args:
        n_inputs: numbers in u_t.
        units: size of each group.
        radii: one more than groups, ascending from at least 0: (0, 0.5, 0.9, 1) makes three groups.
        leak_rate: a in (0, 1]; other than 1 it moves the eigenvalues of the whole map to 1 - a + a lambda.
        input_scaling: c.
        bias_scaling: see `EchoStateNetwork`, as all others.
        activation: "tanh" or "identity".
        include_inputs: whether c u_t is among the features.
        seed: of all matrices.
        dtype: of all matrices.

    Reference:
        "Onion echo state networks", ICANN 2024, doi:10.1007/978-3-031-72359-9_9. Our moduli are those of a normal
        random matrix, moved radially in the diagonal blocks of its real Schur form, so the map is exact and the
        rotation angles of the eigenvalues stay.
    """

    def __init__(  # noqa: PLR0913 - the network's own numbers
        self,
        n_inputs: int,
        units: Sequence[int] = (200, 200, 200),
        radii: Sequence[float] = (0.0, 0.5, 0.9, 0.99),
        *,
        leak_rate: float = 1.0,
        input_scaling: float = 1.0,
        bias_scaling: float = 0.0,
        activation: str = "tanh",
        include_inputs: bool = False,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        from scipy.sparse import block_diag, csr_array

        n_inputs, seed = checks.as_int(n_inputs, "n_inputs", 1), as_seed(seed)
        sizes, edges = checks.as_ints(units, "units", 1, at_least=0), as_numbers(radii, "radii")
        bias_scaling = checks.as_number(bias_scaling, "bias_scaling")
        if not sizes:
            raise ValueError("Argument `units` must hold the size of at least one group, but is empty.")
        if len(edges) != len(sizes) + 1 or edges[0] < 0.0 or list(edges) != sorted(edges):
            raise ValueError(
                f"Argument `radii` must hold {len(sizes) + 1} ascending numbers of at least 0, one more than groups, "
                f"but is {edges}."
            )
        generator = np.random.default_rng(seed)
        total = sum(sizes)
        input_weight = draw_input_weight(generator, total, n_inputs, bias_scaling)
        blocks = [
            annular_matrix(generator.standard_normal((size, size)), inner, outer)
            for size, inner, outer in zip(sizes, edges, edges[1:], strict=False)
        ]
        self._set_up(n_inputs, total, leak_rate, input_scaling, activation, include_inputs=include_inputs, start=0.0)
        self._register(input_weight, block_diag([csr_array(block) for block in blocks]), dtype)


def _own_precision(inputs: Tensor) -> AbstractContextManager:
    """Keep autocast to 16 bits outside, since states are fed back."""
    return torch.autocast(inputs.device.type, enabled=False) if checks.in_autocast(inputs) else nullcontext()


@lru_cache(maxsize=1)
def _hear_of_sparse_tensors() -> None:
    """Let torch warn once, unheard, that sparse tensors may still change; filters of warnings are not of one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)
