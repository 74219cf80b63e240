"""The quantum neuron: a rotation of one qubit by a polynomial in other qubits' bits, made nonlinear by ancillas."""

import math
from itertools import combinations
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit
from circuits.neuron import neuron_circuit
from qml import checks
from qml.backends import Backend
from qml.checks import full_precision
from qml.nn._fixed_tables import WithTables
from qml.nn.qrnn._circuits import as_post_selecting

BIAS_SPREAD, WEIGHT_SPREAD = 0.1, 0.01  # standard deviations of the published code's initial angles, radians


class QuantumNeuron(WithTables):
    r"""A neuron that rotates a target qubit by a polynomial of degree d in the bits of n source qubits.

    For a basis state x of the sources the angle is eta(x) = pi/2 + theta + sum_S phi_S prod_{i in S} x_i over subsets S
    of 1 to d sources. With its ancillas post-selected on 0 the neuron takes the target's amplitudes (a0, a1) to
    (C a0 - S a1, C a1 + S a0), C = cos(eta/2)^(2^order), S = sin(eta/2)^(2^order), a sigmoid step in eta that gets
    steeper with the order; then the whole state is renormalised. It costs O(2^n) a state.

    `amplification` rounds of fixed-point oblivious amplitude amplification each multiply C and S by
    (3 - C^2 - S^2) / 2, which raises the success probability C^2 + S^2 towards 1 and leaves their ratio as it is; see
    `circuits.neuron`.

    The built-in simulator evaluates this formula. On another backend C and S are measured, by one circuit a call that
    does not depend on the states: the neuron on sources in a uniform superposition, where the probabilities of (x, 0)
    and (x, 1) are C(x)^2 and S(x)^2 up to one factor, which the renormalisation takes away.

    Args:
        n_inputs: number n of source qubits, at least 1.
        order: number of nested ancillas, at least 1.
        degree: largest subset d, from 1 to n_inputs.
        amplification: rounds of amplitude amplification, at least 0.
        bias: whether theta is trained; without it theta is 0.
        backend: a backend or its name; see `to_backend`.
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
        closed_form: whether the formula is evaluated here instead of circuits on the backend.

    Raises:
        ValueError: a size out of range, states of another length, states or angles with NaN or infinity, a state of
            norm 0 (inside torch.func and torch.compile values are not looked at); a backend that cannot post-select.
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

    def __init__(  # noqa: PLR0913 - the sizes of a neuron, and torch's device, dtype and generator
        self,
        n_inputs: int,
        *,
        order: int = 1,
        degree: int = 2,
        amplification: int = 0,
        bias: bool = True,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.to_backend(backend)
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

    def to_backend(self, backend: Backend | str) -> "QuantumNeuron":
        """Run on another backend from now on; the weights stay."""
        self.backend = as_post_selecting(backend)
        self.closed_form = self.backend.capabilities.closed_form  # asked once, as it takes microseconds
        return self

    def forward(self, states: Float[Tensor, "*batch amplitudes"]) -> Float[Tensor, "*batch amplitudes"]:
        """Compute the renormalised states after the neuron."""
        states = checks.as_inputs(states, self.weights, "states")
        checks.require_last_dimension(states, 2 ** (self.n_inputs + 1), "states")
        cosine, sine = self.amplitudes() if self.closed_form else self._measured_amplitudes()
        pairs = states.unflatten(-1, (-1, 2))
        # unbind's views would make a later change of the states in place fail
        zero, one = pairs.select(-1, 0), pairs.select(-1, 1)
        turned_zero = torch.addcmul(cosine * zero, sine, one, value=-1)
        turned = _interleaved(turned_zero, torch.addcmul(cosine * one, sine, zero))
        norms = torch.linalg.vector_norm(turned, dim=-1, keepdim=True)
        self._require_norms(norms, states)
        return turned / norms

    @property
    def monomials(self) -> Float[Tensor, "weights words"]:
        """Return the table of `monomial_table`, where the weights are."""
        return self.tables_like(self.weights)["monomials"]

    def make_tables(self, like: Tensor) -> dict[str, Tensor]:
        """Compute the tables; see `WithTables`."""
        return {"monomials": monomial_table(self.n_inputs, self.degree, like)}

    def amplitudes(self) -> tuple[Float[Tensor, " words"], Float[Tensor, " words"]]:
        """Compute C and S by the formula for each basis state of the sources.

        C^2 + S^2 is the probability that the ancillas read 0.
        """
        with full_precision(self.weights):
            eta = neuron_angles(self.weights, self.bias, self.monomials)
            return neuron_amplitudes(eta, self.order, self.amplification)

    def circuit(self) -> Circuit:
        """Return the circuit that measures C and S: `circuits.neuron.neuron_circuit` on sources in all states at once.

        Its weights are the bias (if any) and `weights`; the probabilities of qubits 0 to n_inputs are C^2 and S^2 in
        turn, up to one factor.
        """
        neuron = neuron_circuit(
            self.n_inputs, order=self.order, degree=self.degree, rounds=self.amplification, bias=self.bias is not None
        )
        circuit = Circuit(neuron.n_qubits)
        for source in range(self.n_inputs):
            circuit.h(source)
        return circuit.compose(neuron)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for device, dtype and generator."""
        names = ("n_inputs", "order", "degree", "amplification")
        return {name: getattr(self, name) for name in names} | {"bias": self.bias is not None}

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return (
            f"n_inputs={self.n_inputs}, order={self.order}, degree={self.degree}, amplification={self.amplification}, "
            f"bias={self.bias is not None}, backend={self.backend.name!r}"
        )

    def _measured_amplitudes(self) -> tuple[Tensor, Tensor]:
        """Measure C and S up to one factor; neither is ever negative."""
        angles = self.weights if self.bias is None else torch.cat([self.bias[None], self.weights])
        with full_precision(angles):
            probabilities = self.backend.probabilities(
                self.circuit(), angles.new_empty(1, 0), angles, list(range(self.n_inputs + 1))
            )
            # a square root has no derivative at 0, where that of C and S is 0
            amplitudes = probabilities.clamp_min(torch.finfo(angles.dtype).tiny).sqrt().view(-1, 2)
        return amplitudes[:, 0], amplitudes[:, 1]

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


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Join two tensors, their numbers in turn along the last dimension."""
    if even.requires_grad or checks.is_traced():  # compilers cannot fuse complex numbers
        return torch.stack([even, odd], -1).flatten(-2)
    return torch.view_as_real(torch.complex(even, odd)).flatten(-2)  # a third of the time, but a slower backward pass


def as_neuron(n_inputs: int, order: int, degree: int, amplification: int) -> tuple[int, int, int]:
    """Return order, degree and rounds as ints: the first two at least 1, the degree at most the number of sources."""
    order, degree = checks.as_int(order, "order", 1), checks.as_int(degree, "degree", 1)
    amplification = checks.as_int(amplification, "amplification", 0)
    if degree > n_inputs:
        raise ValueError(
            f"Argument `degree` must be at most {n_inputs}, the number of source qubits, but is {degree}. Lower it, or "
            "add qubits."
        )
    return order, degree, amplification


def subsets(n_inputs: int, degree: int) -> list[tuple[int, ...]]:
    """List the subsets of 1 to `degree` sources in the order of the weights: by size, then lexicographically."""
    return [subset for size in range(1, degree + 1) for subset in combinations(range(n_inputs), size)]


def monomial_table(n_inputs: int, degree: int, like: Tensor) -> Float[Tensor, "weights words"]:
    """Compute prod_{i in S} x_i for each subset S (rows) and basis state x of the sources (columns), as `like`."""
    words = torch.arange(2**n_inputs, device=like.device)
    masks = [sum(1 << (n_inputs - 1 - source) for source in subset) for subset in subsets(n_inputs, degree)]
    return torch.stack([(words & mask) == mask for mask in masks]).to(like.dtype)


def neuron_angles(
    weights: Float[Tensor, "*neurons weights"],
    bias: Float[Tensor, "*neurons"] | None,
    monomials: Float[Tensor, "weights words"],
) -> Float[Tensor, "*neurons words"]:
    """Compute eta(x) in radians for each basis state x of the sources."""
    eta = weights @ monomials + math.pi / 2
    return eta if bias is None else eta + bias[..., None]


def neuron_amplitudes(
    eta: Float[Tensor, "*neurons words"], order: int, amplification: int
) -> tuple[Float[Tensor, "*neurons words"], Float[Tensor, "*neurons words"]]:
    """Compute C and S of `QuantumNeuron`."""
    half = eta / 2
    cosine, sine = torch.cos(half), torch.sin(half)
    for _ in range(order):
        cosine, sine = cosine.square(), sine.square()
    for _ in range(amplification):
        gain = (3.0 - cosine * cosine - sine * sine) / 2
        cosine, sine = gain * cosine, gain * sine
    return cosine, sine
