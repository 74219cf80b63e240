"""The quantum Boltzmann machine: the Gibbs state of a Hamiltonian that is linear in the inputs."""

from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from qml import checks
from qml.nn._fixed_tables import WithTables
from qml.nn.classifiers.base import as_labels
from qml.plain_pullback import in_groups, plain_pullback

MAX_QUBITS = 12  # a dense eigendecomposition of 4096 x 4096 a sample


class QuantumBoltzmannClassifier(WithTables):
    r"""The quantum Boltzmann machine: f(x) is the mean of <Z_i> over the visible qubits in a Gibbs state.

    rho = exp(-H(x) / T) / tr exp(-H(x) / T) with H(x) = sum_i (a_i x) Z_i + (b_i x) X_i + sum_{i<j} (g_ij x) Z_i Z_j,
    on a qubit a feature. It is a thermal state and no circuit, computed by dense eigendecompositions in torch, so that
    it has no backend; a sample costs 8**n_inputs operations.

    Args:
        n_inputs: Number of features and qubits, at most 12.
        n_visible: Number of qubits that are read.
        temperature: T, above 0.
        has_one_coupling: Whether all pairs share one vector g, as the code of arXiv:2403.07059 has it.
        device: Of the parameters.
        dtype: Of the parameters, float32 or float64.
        generator: For the initial parameters, all from N(0, 1).

    Shape:
        (..., n_inputs) to (...) in [-1, 1]: above 0 for label +1, else label -1.

    Attributes:
        fields: Vectors a and b, shape (2, n_inputs, n_inputs).
        couplings: Vectors g, shape (pairs, n_inputs), or (1, n_inputs) where they are shared.

    Raises:
        ValueError: If a number is out of its range.

    Reference:
        Zoufal et al., arXiv:2006.06004; as in arXiv:2403.07059.

    Example:
        >>> import torch
        >>> from qml.nn import QuantumBoltzmannClassifier
        >>> QuantumBoltzmannClassifier(3)(torch.rand(7, 3)).shape
        torch.Size([7])
    """

    fields: nn.Parameter
    couplings: nn.Parameter

    def __init__(
        self,
        n_inputs: int,
        *,
        n_visible: int = 1,
        temperature: float | int = 1.0,
        has_one_coupling: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_precision(dtype)
        n_inputs = checks.as_int(n_inputs, "n_inputs", 1)
        self.n_inputs, self.n_visible = n_inputs, checks.as_int(n_visible, "n_visible", 1)
        self.temperature = checks.as_number(temperature, "temperature")
        self.has_one_coupling = checks.as_flag(has_one_coupling, "has_one_coupling")
        for name, value, limit in (("n_inputs", n_inputs, MAX_QUBITS), ("n_visible", self.n_visible, n_inputs)):
            if value > limit:
                raise ValueError(f"Argument `{name}` must be at most {limit}, but is {value}.")
        if not self.temperature > 0.0:
            raise ValueError(f"Argument `temperature` must be above 0, but is {temperature}. Pass for example 1.0.")
        n_pairs = n_inputs * (n_inputs - 1) // 2
        n_couplings = min(1, n_pairs) if self.has_one_coupling else n_pairs
        self.fields = nn.Parameter(torch.empty(2, n_inputs, n_inputs, device=device, dtype=dtype))
        self.couplings = nn.Parameter(torch.empty(n_couplings, n_inputs, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all parameters anew from N(0, 1)."""
        checks.require_generator(generator)
        with torch.no_grad():
            for parameter in (self.fields, self.couplings):
                parameter.normal_(0.0, 1.0, generator=generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """Compute the scores of samples; see the class.

        Raises:
            TypeError: If inputs are no dense tensor of the layer's dtype.
            ValueError: If they have another shape or device, or hold NaN or infinity.
        """
        inputs = checks.as_inputs(inputs, self.fields)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        with checks.full_precision(inputs):
            return self._scores(inputs.reshape(-1, self.n_inputs)).reshape(inputs.shape[:-1])

    def _scores(self, flat: Tensor) -> Tensor:
        tables = self.tables_like(self.fields)
        z_fields, x_fields = functional.linear(flat, self.fields.flatten(0, 1)).chunk(2, dim=1)
        diagonal = z_fields @ tables["field_diagonals"]
        if self.couplings.numel():
            diagonal = diagonal + functional.linear(flat, self.couplings) @ tables["coupling_diagonals"]
        transverse = torch.einsum("bi,ist->bst", x_fields, tables["flips"])
        populations = _gibbs_populations((torch.diag_embed(diagonal) + transverse) / -self.temperature)
        return populations @ tables["field_diagonals"][: self.n_visible].mean(0)

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean cross entropy of the probability (1 + f) / 2, clipped one rounding step inside [0, 1]."""
        scores = self(inputs)
        right = (1.0 + as_labels(labels, scores) * scores) / 2.0
        return -right.clamp_min(torch.finfo(right.dtype).eps).log().mean()

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for device, dtype and generator."""
        names = ("n_inputs", "n_visible", "temperature", "has_one_coupling")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return ", ".join(f"{name}={value!r}" for name, value in self.config().items())

    def make_tables(self, like: Tensor) -> dict[str, Tensor]:
        """Compute the diagonals of Z_i and of Z_i Z_j, and the matrices of X_i; see `WithTables`."""
        states = torch.arange(2**self.n_inputs, device=like.device)
        places = range(self.n_inputs - 1, -1, -1)
        signs = torch.stack([1 - 2 * ((states >> place) & 1) for place in places])
        pairs = list(combinations(signs, 2))
        products = torch.stack([one * other for one, other in pairs]) if pairs else signs[:0]
        if self.has_one_coupling and pairs:
            products = products.sum(0, keepdim=True)
        flips = torch.stack([states[:, None] == (states ^ (1 << place)) for place in places])
        tables = {"field_diagonals": signs, "coupling_diagonals": products, "flips": flips}
        return {name: table.to(like.dtype) for name, table in tables.items()}


def _gibbs_populations(exponent: Tensor) -> Tensor:
    """Return the diagonal of exp(A) / tr exp(A), shape (batch, states), for symmetric A."""
    if not checks.needs_plain_operations():
        return _Populations.apply(exponent)
    return in_groups(_Populations.apply, exponent) if checks.in_one_vmap() else _plain_populations(exponent)


def _plain_populations(exponent: Tensor) -> Tensor:
    """Compute the same by a matrix exponential, which can be differentiated as often as is wanted.

    The largest eigenvalue is taken off first, which cancels in the ratio and keeps the exponential in range.
    """
    largest = torch.linalg.eigvalsh(exponent.detach())[..., -1]
    identity = torch.eye(exponent.shape[-1], dtype=exponent.dtype, device=exponent.device)
    populations = torch.matrix_exp(exponent - largest[..., None, None] * identity).diagonal(dim1=-2, dim2=-1)
    return populations / populations.sum(-1, keepdim=True)


class _Populations(torch.autograd.Function):
    """Gibbs populations by an eigendecomposition A = V diag(l) V^T, whose own derivative is not needed.

    In the basis V the derivative of exp(A) along dA is dA_kl (e^l_k - e^l_l) / (l_k - l_l), which stays finite where
    eigenvalues are equal (Daleckii and Krein). The backward pass is three products of matrices.
    """

    @staticmethod
    def forward(ctx: Any, exponent: Tensor) -> Tensor:
        """Compute the populations, (..., states)."""
        values, vectors = torch.linalg.eigh(exponent)
        weights = torch.exp(values - values[..., -1:])
        total = weights.sum(-1, keepdim=True)
        populations = (vectors.square() @ weights[..., None])[..., 0] / total
        ctx.save_for_backward(exponent, values, vectors, weights / total, populations)
        return populations

    @staticmethod
    @checks.in_full_precision
    def backward(ctx: Any, *gradients: Tensor) -> Tensor | None:
        """Return the gradient of A, or let autograd follow the plain function where its own derivative is wanted."""
        (gradient,) = gradients
        exponent, values, vectors, weights, populations = ctx.saved_tensors
        if checks.needs_plain_pullback(gradient):
            return plain_pullback(_plain_populations, (exponent,), (True,), (gradient,))[0]
        pulled = gradient - (gradient * populations).sum(-1, keepdim=True)
        rotated = vectors.mT @ (pulled[..., None] * vectors)
        gaps = (values[..., :, None] - values[..., None, :]).abs_().clamp_min_(torch.finfo(values.dtype).tiny).neg_()
        quotients = torch.expm1(gaps).div_(gaps).mul_(torch.maximum(weights[..., :, None], weights[..., None, :]))
        return vectors @ rotated.mul_(quotients) @ vectors.mT
