"""Echo state networks, with a spectrum of one radius or of rings."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml.baselines._slices import pays, run_slices
from qml.checks import as_int, require_finite
from qml.reservoir import Reservoir

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh_, "identity": lambda values: values}
DENSE_EIGENVALUES = 600  # units up to which all eigenvalues are computed; above, the largest by Arnoldi iteration


class EchoStateNetwork(Reservoir):
    r"""Echo state network: s_t = (1 - a) s_{t-1} + a tanh(W_in (1, c u_t) + W s_{t-1}).

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
        ValueError: no units, a density or leak rate outside of (0, 1], a negative radius.

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
        as_int(units, "units", 1)
        as_int(n_inputs, "n_inputs", 1)
        _require_share(density, "density")
        if not 0.0 <= spectral_radius < math.inf:
            raise ValueError(f"Argument `spectral_radius` must be at least 0, but is {spectral_radius}.")
        generator = np.random.default_rng(seed)
        input_weight = _input_weight(generator, units, n_inputs, bias_scaling)
        recurrent = scaled_to_radius(_sparse_normal(generator, units, density), spectral_radius)
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
        _require_share(leak_rate, "leak_rate")
        if activation not in ACTIVATIONS:
            raise ValueError(f"Argument `activation` must be one of {', '.join(ACTIVATIONS)}, but is {activation!r}.")
        Reservoir.__init__(self, n_inputs, units + (n_inputs if include_inputs else 0), units)
        self.units, self.leak_rate, self.input_scaling, self.activation = units, leak_rate, input_scaling, activation
        self.include_inputs, self.start = include_inputs, start

    def _register(self, input_weight: np.ndarray, recurrent: Any, dtype: torch.dtype) -> None:
        from scipy.sparse import csr_array

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
        """A network with given matrices.

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
        entry = np.asarray(input_weight, dtype=float)
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
        require_finite(network.values, "recurrent")
        require_finite(network.input_weight, "input_weight")
        return network

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """See `Reservoir`."""
        return self.values.new_full((batch, self.units), self.start)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reservoir`; the state is held as columns, one a series."""
        scaled = self.input_scaling * inputs.to(self.values.dtype)
        batch, time, _ = inputs.shape
        derived = torch.is_grad_enabled() and (scaled.requires_grad or state.requires_grad)
        if not derived and pays(self.units, batch, state):
            activate = ACTIVATIONS[self.activation]
            states, end = run_slices(self.recurrent(), self.input_weight, scaled, state, self.leak_rate, activate)
            features = states.permute(2, 0, 1)
            return (torch.cat([scaled, features], -1) if self.include_inputs else features), end
        bias, weight = self.input_weight[:, :1], self.input_weight[:, 1:]
        drive = torch.baddbmm(bias[None], weight.expand(time, -1, -1), scaled.permute(1, 2, 0))  # (time, units, batch)
        if batch == 1:  # a product with a vector is faster than with a matrix of one column
            states, end = self._run(drive[:, :, 0], state[0], torch.addmv, in_place=not derived)
            features, end = states[None], end[None]
        else:
            states, end = self._run(drive, state.mT, torch.addmm, in_place=not derived)
            features, end = states.permute(2, 0, 1), end.mT
        return (torch.cat([scaled, features], -1) if self.include_inputs else features), end

    def _run(
        self, drive: Tensor, now: Tensor, product: Callable[..., Tensor], *, in_place: bool
    ) -> tuple[Tensor, Tensor]:
        """All states, (time, units) or (time, units, batch), and the last; in place they overwrite the drive."""
        matrix, activate = self.recurrent(), ACTIVATIONS[self.activation]
        states = []
        for step in drive:
            driven = activate(product(step, matrix, now, out=step) if in_place else product(step, matrix, now))
            if self.leak_rate != 1.0:
                driven = torch.lerp(now, driven, self.leak_rate, **({"out": driven} if in_place else {}))
            states.append(driven)
            now = driven
        return (drive if in_place else torch.stack(states)), now.clone() if in_place else now

    def recurrent(self) -> Tensor:
        """W as a sparse tensor, shape (units, units)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that sparse tensors may still change
            return torch.sparse_csr_tensor(
                self.row_starts, self.columns, self.values, (self.units, self.units), check_invariants=False
            )

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to make room for the matrices, which a file holds."""
        names = ("n_inputs", "units", "leak_rate", "input_scaling", "activation", "include_inputs", "start")
        numbers = {name: getattr(self, name) for name in names}
        return numbers | {"n_entries": len(self.values), "dtype": str(self.values.dtype).removeprefix("torch.")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EchoStateNetwork":
        """A network of that size; its matrices are to be loaded."""
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
        """As `nn.Module`, and matrices of another seed or density, which have another number of entries, fit too."""
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
        """Whether these are a square matrix in compressed rows; sparse products trust that they are."""
        if rows.shape != (self.units + 1,) or columns.ndim != 1 or columns.shape != values.shape:
            return False
        if any(part.is_floating_point() or part.is_complex() for part in (rows, columns)):
            return False
        if rows.is_meta or columns.is_meta:
            return True
        ascending = bool(rows[0] == 0 and rows[-1] == len(columns) and (rows.diff() >= 0).all())
        return ascending and (not len(columns) or bool(columns.min() >= 0 and columns.max() < self.units))

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"n_inputs={self.n_inputs}, units={self.units}, leak_rate={self.leak_rate}"


class OnionESN(EchoStateNetwork):
    r"""Echo state network of groups that do not see each other, each with the eigenvalues of one annulus.

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

        as_int(n_inputs, "n_inputs", 1)
        sizes, edges = tuple(units), tuple(float(radius) for radius in radii)
        if not sizes:
            raise ValueError("Argument `units` must hold the size of at least one group, but is empty.")
        for size in sizes:
            as_int(size, "units", 1)
        if len(edges) != len(sizes) + 1 or edges[0] < 0.0 or list(edges) != sorted(edges) or edges[-1] == math.inf:
            raise ValueError(
                f"Argument `radii` must hold {len(sizes) + 1} ascending numbers of at least 0, one more than groups, "
                f"but is {edges}."
            )
        generator = np.random.default_rng(seed)
        total = sum(sizes)
        input_weight = _input_weight(generator, total, n_inputs, bias_scaling)
        blocks = [
            annular_matrix(generator.standard_normal((size, size)), inner, outer)
            for size, inner, outer in zip(sizes, edges, edges[1:], strict=False)
        ]
        self._set_up(n_inputs, total, leak_rate, input_scaling, activation, include_inputs=include_inputs, start=0.0)
        self._register(input_weight, block_diag([csr_array(block) for block in blocks]), dtype)


def annular_matrix(
    matrix: Float[np.ndarray, "units units"], inner: float, outer: float
) -> Float[np.ndarray, "units units"]:
    """A real matrix with eigenvalues moved radially into inner <= |lambda| <= outer, the largest onto `outer`.

    A modulus m of the spectral radius rho becomes sqrt(inner^2 + (outer^2 - inner^2) (m / rho)^2), which maps the
    uniform disc of a large random matrix to the uniform annulus.
    """
    from scipy.linalg import schur

    # scaled first: an upper triangle far larger than the eigenvalues would make them meaningless
    largest = _largest_modulus(matrix)
    form, basis = schur(matrix * (outer / largest) if largest else matrix, output="real")[:2]
    size = len(form)
    blocks, start = [], 0
    while start < size:
        width = 2 if start + 1 < size and form[start + 1, start] != 0.0 else 1
        blocks.append(slice(start, start + width))
        start += width
    moduli = [float(np.abs(np.linalg.eigvals(form[block, block])).max()) for block in blocks]
    radius = max(*moduli, np.finfo(float).tiny)
    for block, modulus in zip(blocks, moduli, strict=True):
        wanted = math.sqrt(inner**2 + (outer**2 - inner**2) * (modulus / radius) ** 2)
        form[block, block] = form[block, block] * (wanted / modulus) if modulus > 0.0 else wanted
    return basis @ form @ basis.T


def scaled_to_radius(matrix: Any, spectral_radius: float) -> Any:
    """A dense or sparse matrix times what makes its largest eigenvalue modulus `spectral_radius`."""
    largest = _largest_modulus(matrix)
    if largest == 0.0:
        if spectral_radius == 0.0:
            return matrix
        raise ValueError(
            f"Argument `spectral_radius` must be 0 for a matrix without eigenvalues other than 0, but is "
            f"{spectral_radius}. Use more units or a larger density."
        )
    return matrix * (spectral_radius / largest)


def _largest_modulus(matrix: Any) -> float:
    from scipy.sparse.linalg import ArpackNoConvergence, eigs

    size = matrix.shape[0]
    if size <= DENSE_EIGENVALUES:
        return float(np.abs(np.linalg.eigvals(_dense(matrix))).max())
    try:
        start = np.full(size, size**-0.5)  # a start of its own would make the result random
        return float(np.abs(eigs(matrix, k=1, v0=start, return_eigenvectors=False)).max())
    except ArpackNoConvergence:
        return float(np.abs(np.linalg.eigvals(_dense(matrix))).max())


def _dense(matrix: Any) -> np.ndarray:
    from scipy.sparse import issparse

    return matrix.toarray() if issparse(matrix) else matrix


def _sparse_normal(generator: np.random.Generator, units: int, density: float) -> Any:
    from scipy.sparse import csr_array

    entries = generator.standard_normal((units, units))
    if density < 1.0:
        entries *= generator.random((units, units)) < density
    return csr_array(entries)


def _input_weight(generator: np.random.Generator, units: int, n_inputs: int, bias_scaling: float) -> np.ndarray:
    weight = generator.uniform(-1.0, 1.0, (units, 1 + n_inputs))
    weight[:, 0] *= bias_scaling
    return weight


def _require_share(value: float, name: str) -> None:
    if not 0.0 < value <= 1.0:
        raise ValueError(f"Argument `{name}` must lie in (0, 1], but is {value}.")
