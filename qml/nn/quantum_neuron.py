"""The quantum neuron: a rotation of one qubit by a polynomial in other qubits' bits, made nonlinear by ancillas."""

import math
from itertools import combinations, product

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks

BIAS_SPREAD, WEIGHT_SPREAD = 0.1, 0.01  # standard deviations of the published code's initial angles, radians


class QuantumNeuron(nn.Module):
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
        ValueError: a size out of range, states of another length.

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
    monomials: Tensor

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
        checks.as_int(n_inputs, "n_inputs", 1)
        require_neuron(n_inputs, order, degree, amplification)
        self.n_inputs, self.order, self.degree, self.amplification = n_inputs, order, degree, amplification
        table = monomial_table(n_inputs, degree).to(device=device, dtype=dtype or torch.get_default_dtype())
        self.register_buffer("monomials", table, persistent=False)
        self.weights = nn.Parameter(torch.empty(len(table), device=device, dtype=dtype))
        self.register_parameter("bias", nn.Parameter(torch.empty((), device=device, dtype=dtype)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the angles anew, the bias first."""
        with torch.no_grad():
            if self.bias is not None:
                self.bias.normal_(0.0, BIAS_SPREAD, generator=generator)
            self.weights.normal_(0.0, WEIGHT_SPREAD, generator=generator)

    def forward(self, states: Float[Tensor, "*batch amplitudes"]) -> Float[Tensor, "*batch amplitudes"]:
        """The renormalised states after the neuron."""
        checks.require_last_dimension(states, 2 ** (self.n_inputs + 1), "states")
        cosine, sine = self.amplitudes()
        zero, one = states.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack([cosine * zero - sine * one, cosine * one + sine * zero], -1).flatten(-2)
        return turned / torch.linalg.vector_norm(turned, dim=-1, keepdim=True)

    def amplitudes(self) -> tuple[Float[Tensor, " words"], Float[Tensor, " words"]]:
        """C and S for each basis state of the sources; C^2 + S^2 is the probability that the ancillas read 0."""
        eta = neuron_angles(self.weights, self.bias, self.monomials)
        return neuron_amplitudes(eta, self.order, self.amplification)

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return (
            f"n_inputs={self.n_inputs}, order={self.order}, degree={self.degree}, amplification={self.amplification}, "
            f"bias={self.bias is not None}"
        )


def require_neuron(n_inputs: int, order: int, degree: int, amplification: int) -> None:
    """Refuse an order or degree below 1, a degree above the number of sources, and negative rounds."""
    checks.as_int(order, "order", 1)
    checks.as_int(degree, "degree", 1)
    checks.as_int(amplification, "amplification", 0)
    if degree > n_inputs:
        raise ValueError(
            f"Argument `degree` must be at most {n_inputs}, the number of source qubits, but is {degree}. Lower it, or "
            "add qubits."
        )


def subsets(n_inputs: int, degree: int) -> list[tuple[int, ...]]:
    """The subsets of 1 to `degree` sources in the order of the weights: by size, then lexicographically."""
    return [subset for size in range(1, degree + 1) for subset in combinations(range(n_inputs), size)]


def monomial_table(n_inputs: int, degree: int) -> Float[Tensor, "weights words"]:
    """prod_{i in S} x_i for each subset S (rows) and basis state x of the sources (columns)."""
    bits = torch.tensor(list(product((0.0, 1.0), repeat=n_inputs)))
    return torch.stack([bits[:, list(subset)].prod(1) for subset in subsets(n_inputs, degree)])


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
