"""The quantum neuron: a rotation of one qubit by a polynomial in other qubits' bits, made nonlinear by ancillas."""

import math
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.checks import full_precision
from qml.nn._fixed_tables import WithTables

BIAS_SPREAD, WEIGHT_SPREAD = 0.1, 0.01  # standard deviations of the published code's initial angles, radians


class QuantumNeuron(WithTables):
    r"""Rotates a target qubit by a polynomial of degree d in the bits of n source qubits.

    For a basis state x of the sources the angle is eta(x) = pi/2 + theta + sum_S phi_S prod_{i in S} x_i over subsets S
    of 1 to d sources. With its ancillas post-selected on 0 the neuron takes the target's amplitudes (a0, a1) to
    (C a0 - S a1, C a1 + S a0), C = cos(eta/2)^(2^order), S = sin(eta/2)^(2^order), a sigmoid step in eta that gets
    steeper with the order; then the whole state is renormalised. It costs O(2^n) a state.

    `amplification` rounds of fixed-point oblivious amplitude amplification each multiply C and S by
    (3 - C^2 - S^2) / 2, which raises the success probability C^2 + S^2 towards 1 and leaves their ratio as it is; see
    `circuits.neuron`.

    Args:
        n_inputs: number n of source qubits, at least 1.
        order: number of nested ancillas, at least 1.
        degree: largest subset d, from 1 to n_inputs.
        amplification: rounds of amplitude amplification, at least 0.
        bias: whether theta is trained; without it theta is 0.
        device: of the angles.
        dtype: of the angles, float32 or float64.
        generator: for the initial angles; none is seeded globally.

    Shape:
        states (..., 2**(n_inputs + 1)) to the same: real amplitudes, the sources' bits first and the most significant,
        the target's bit last.

    Attributes:
        bias: theta, shape (), drawn from N(0, 0.1^2); None without a bias.
        weights: phi_S in radians, shape (n_subsets,), drawn from N(0, 0.01^2); subsets by size, then
            lexicographically, as `subsets(n_inputs, degree)` lists them.

    Raises:
        ValueError: a size out of range, states of another length, states or angles with NaN or infinity, a state of
            norm 0. Inside torch.func and torch.compile values are not looked at.
        TypeError: states that are no dense tensor of the layer's dtype.

    Reference:
        Bausch, "Recurrent quantum neural networks", arXiv:2006.14619, section 3; the neuron of Cao, Guerreschi and
        Aspuru-Guzik, arXiv:1711.11240, with terms of higher degree. pi/2 is a constant here, as in the published code.

    Example:
        >>> import torch
        >>> from qml.nn import QuantumNeuron
        >>> QuantumNeuron(2)(torch.eye(8)).shape
        torch.Size([8, 8])
    """

    weights: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        n_inputs: int,
        *,
        order: int = 1,
        degree: int = 2,
        amplification: int = 0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_precision(dtype)
        self.n_inputs = checks.as_int(n_inputs, "n_inputs", 1)
        self.order, self.degree, self.amplification = as_neuron(self.n_inputs, order, degree, amplification)
        n_subsets, has_bias = len(subsets(self.n_inputs, self.degree)), checks.as_flag(bias, "bias")
        self.weights = nn.Parameter(torch.empty(n_subsets, device=device, dtype=dtype))
        self.register_parameter("bias", nn.Parameter(torch.empty((), device=device, dtype=dtype)) if has_bias else None)
        self.reset_parameters(generator)
        self.tables_like(self.weights)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the angles anew, the bias first."""
        with torch.no_grad():
            if self.bias is not None:
                self.bias.normal_(0.0, BIAS_SPREAD, generator=generator)
            self.weights.normal_(0.0, WEIGHT_SPREAD, generator=generator)

    def forward(self, states: Float[Tensor, "*batch amplitudes"]) -> Float[Tensor, "*batch amplitudes"]:
        """The renormalised states after the neuron."""
        states = checks.as_inputs(states, self.weights, "states")
        checks.require_last_dimension(states, 2 ** (self.n_inputs + 1), "states")
        cosine, sine = self.amplitudes()
        pairs = states.unflatten(-1, (-1, 2))
        zero, one = (
            pairs.select(-1, 0),
            pairs.select(-1, 1),
        )  # unbind's views would make a later change of the states in place fail
        turned_zero = torch.addcmul(cosine * zero, sine, one, value=-1)
        turned = torch.stack([turned_zero, torch.addcmul(cosine * one, sine, zero)], -1).flatten(-2)
        norms = torch.linalg.vector_norm(turned, dim=-1, keepdim=True)
        self._require_norms(norms, states)
        return turned / norms

    @property
    def monomials(self) -> Float[Tensor, "weights words"]:
        """The table of `monomial_table`, where the weights are."""
        return self.tables_like(self.weights)["monomials"]

    def make_tables(self, like: Tensor) -> dict[str, Tensor]:
        """See `WithTables`."""
        return {"monomials": monomial_table(self.n_inputs, self.degree, like)}

    def amplitudes(self) -> tuple[Float[Tensor, " words"], Float[Tensor, " words"]]:
        """C and S for each basis state of the sources; C^2 + S^2 is the probability that the ancillas read 0."""
        with full_precision(self.weights):
            eta = neuron_angles(self.weights, self.bias, self.monomials)
            return neuron_amplitudes(eta, self.order, self.amplification)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for device, dtype and generator."""
        names = ("n_inputs", "order", "degree", "amplification")
        return {name: getattr(self, name) for name in names} | {"bias": self.bias is not None}

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return (
            f"n_inputs={self.n_inputs}, order={self.order}, degree={self.degree}, amplification={self.amplification}, "
            f"bias={self.bias is not None}"
        )

    def _require_norms(self, norms: Tensor, states: Tensor) -> None:
        """Refuse states without a direction; the norms are NaN where an angle or an amplitude is."""
        if norms.is_meta or checks.in_transform() or not norms.numel():
            return
        low, high = norms.detach().aminmax()
        if low.item() > 0 and math.isfinite(high.item()):
            return
        checks.require_finite_parameters(self)
        checks.require_finite(states, "states")
        raise ValueError(
            f"Argument `states` must have norms above 0 that {norms.dtype} can hold, before and after the neuron, but "
            "one has not. Divide the states by their norms."
        )


def as_neuron(n_inputs: int, order: int, degree: int, amplification: int) -> tuple[int, int, int]:
    """Order, degree and rounds as ints, of which the first two must be at least 1, the degree at most the sources."""
    order, degree = checks.as_int(order, "order", 1), checks.as_int(degree, "degree", 1)
    amplification = checks.as_int(amplification, "amplification", 0)
    if degree > n_inputs:
        raise ValueError(
            f"Argument `degree` must be at most {n_inputs}, the number of source qubits, but is {degree}. Lower it, or "
            "add qubits."
        )
    return order, degree, amplification


def subsets(n_inputs: int, degree: int) -> list[tuple[int, ...]]:
    """The subsets of 1 to `degree` sources in the order of the weights: by size, then lexicographically."""
    return [subset for size in range(1, degree + 1) for subset in combinations(range(n_inputs), size)]


def monomial_table(n_inputs: int, degree: int, like: Tensor) -> Float[Tensor, "weights words"]:
    """prod_{i in S} x_i for each subset S (rows) and basis state x of the sources (columns), as `like`."""
    words = torch.arange(2**n_inputs, device=like.device)
    masks = [sum(1 << (n_inputs - 1 - source) for source in subset) for subset in subsets(n_inputs, degree)]
    return torch.stack([(words & mask) == mask for mask in masks]).to(like.dtype)


def neuron_angles(
    weights: Float[Tensor, "*neurons weights"],
    bias: Float[Tensor, "*neurons"] | None,
    monomials: Float[Tensor, "weights words"],
) -> Float[Tensor, "*neurons words"]:
    """eta(x) in radians for each basis state x of the sources."""
    eta = weights @ monomials + math.pi / 2
    return eta if bias is None else eta + bias[..., None]


def neuron_amplitudes(
    eta: Float[Tensor, "*neurons words"], order: int, amplification: int
) -> tuple[Float[Tensor, "*neurons words"], Float[Tensor, "*neurons words"]]:
    """C and S of the class's docstring."""
    cosine, sine = torch.cos(eta / 2), torch.sin(eta / 2)
    for _ in range(order):
        cosine, sine = cosine * cosine, sine * sine
    for _ in range(amplification):
        gain = (3.0 - cosine * cosine - sine * sine) / 2
        cosine, sine = gain * cosine, gain * sine
    return cosine, sine
