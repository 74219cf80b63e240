"""A trunk that looks at a few times around a point: a pseudo-sequence and one cross attention."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qml import checks
from qml.jets import Jet, JetModule
from qml.jets.jet import Array
from qml.pinn.trunks.dense import affine_maps, reset


class AttentionTrunk(JetModule):
    """A network that reads the point at its own time and at a few later ones, and attends to them from its own.

    With x_k the point at the time t + o_k, o_0 = 0, and h_k = tanh(A x_k + a): a query q = Q h_0, weights
    p_k = softmax_k(q . K h_k / sqrt(d)), m = h_0 + sum_k p_k V h_k and u = R tanh(F m + f) + r, Q, K and V affine. The
    encoder's own attention of the paper is left out. It costs three products of d x d matrices for each of the times.

    Args:
        in_features: coordinates or features.
        hidden_size: d.
        out_features: fields.
        column: of time among the inputs; -1 is the last one.
        offsets: o_1, o_2, ...: distances of the later times in units of that column, rising and above 0.
        device: where the parameters live.
        dtype: their type.
        generator: source of the initial weights; None takes torch's own.

    Shape:
        (..., in_features) to (..., out_features).

    Attributes:
        layers: the affine maps A, Q, K, V, F, R; initialised as in `MLP`.

    Raises:
        ValueError: offsets that do not rise from above 0, or a column that does not exist.

    Reference:
        PhysicsFormer, arXiv:2601.03613: pseudo-sequences in time, and cross attention in the decoder; PINNsFormer,
        arXiv:2307.11833, section 3.1, from where they are.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int,
        out_features: int = 1,
        *,
        column: int = -1,
        offsets: Sequence[float] = (0.05, 0.1),
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        in_features = checks.as_int(in_features, "in_features", 1)
        size = checks.as_int(hidden_size, "hidden_size", 1)
        column = checks.as_int(column, "column", -in_features)
        if column >= in_features:
            raise ValueError(f"Argument `column` must be less than {in_features}, but is {column}.")
        checks.require_kind(offsets, "offsets", Sequence, " Pass for example (0.05, 0.1).")
        self.column, self.offsets = column, tuple(checks.as_number(offset, "offsets", above=0) for offset in offsets)
        if not self.offsets or list(self.offsets) != sorted(set(self.offsets)):
            raise ValueError(f"Argument `offsets` must hold rising numbers above 0, but is {offsets}.")
        square = (size, size)
        sizes: Sequence[tuple[int, int]] = ((in_features, size), square, square, square, square, (size, out_features))
        self.layers = nn.ModuleList(affine_maps(pair, device, dtype)[0] for pair in sizes)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        reset(self, generator)

    def forward(self, inputs: Array) -> Array:
        """Return the fields, before trial functions."""
        embed, ask, key, value, mix, read_out = self.layers
        shifts, ones = self._tables(next(self.layers.parameters()))
        hidden: list[Any] = [torch.tanh(embed(inputs + shift)) for shift in shifts]
        query = ask(hidden[0]) / math.sqrt(ones.shape[1])
        # products of matrices, for which jets have a rule: a sum over units here, and copies to all units below
        scores = [nn.functional.linear(query * key(one), ones) for one in hidden]
        largest = torch.stack([(score.value if isinstance(score, Jet) else score).detach() for score in scores]).amax(0)
        shares = [torch.exp(score - largest) for score in scores]  # which leaves the quotient as it is
        total: Any = sum(shares[1:], start=shares[0])
        memory: Any = hidden[0]
        for share, one in zip(shares, hidden, strict=True):
            memory = memory + nn.functional.linear(share / total, ones.mT) * value(one)
        return read_out(torch.tanh(mix(memory)))

    def _tables(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is added to a point for each of its times, and a row of ones, by the weight of the map A.

        They are no buffers, which would lose their values on the meta device and digits in half precision.
        """
        (size, in_features), place = weight.shape, {"dtype": weight.dtype, "device": weight.device}
        shifts = torch.zeros(1 + len(self.offsets), in_features, **place)
        for number, offset in enumerate(self.offsets, 1):
            shifts[number, self.column] = offset
        return shifts, torch.ones(1, size, **place)

    def extra_repr(self) -> str:
        """Return the times, for `repr`."""
        return f"column={self.column}, offsets={self.offsets}"
