"""A separable trunk: a sum of products of functions of one coordinate each."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qml import checks
from qml.jets import Jet, JetModule, Orders
from qml.jets.jet import Array
from qml.jets.orders import Tower
from qml.jets.towers import add_activation
from qml.pinn.trunks.dense import MLP, affine_maps, reset

FIRST, BOTH = Orders(1, ()), Orders(1, (((0, 1.0),),))
N_KNOWN = 4  # products of frozen factors that are kept
TO_FOURTH = Orders(1, BOTH.forms, (Tower(0, 0, 4),))


class Separable(JetModule):
    """A sum of products of functions of one input each: u_k(x) = b_k + sum_r w_kr prod_i f_ir(x_i).

    A factor sees one number, so its jet has three components however many coordinates there are; those of the product
    follow by the chain rule and the product rule. A Laplacian in d dimensions thus costs 3 d rows of small networks,
    where an MLP on all coordinates carries d + 2 components of wide ones. Factors may be any modules: MLPs, KANs, or
    circuits, each of which then acts on qubits of its own and is multiplied with the others, as the expectation values
    of a product state are. Products of frozen factors (`requires_grad_(False)`) are computed once for the same points.

    Args:
        factors: one module an input, from (..., 1) to (..., rank).
        out_features: fields.
        device: where the read-out lives.
        dtype: its type.
        generator: source of the read-out's weights; None takes torch's own.

    Shape:
        (..., inputs) to (..., out_features).

    Attributes:
        factors: the modules.
        read_out: w and b; w from N(0, 2 / (rank + out_features)), b = 0.

    Raises:
        ValueError: no factor, or factors of different ranks.

    Reference:
        Cho et al., separable PINNs, arXiv:2306.15969, equation 4; the affine read-out and derivatives by jets in place
        of forward mode on a tensor grid are ours, so that points may lie anywhere.
    """

    def __init__(
        self,
        factors: Sequence[nn.Module],
        out_features: int = 1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        self.factors = nn.ModuleList(factors)
        self._known: list[tuple[tuple[Tensor, Orders | None, Any], Any]] = []
        ranks = [_rank(factor, device, dtype) for factor in self.factors]
        if len(set(ranks)) != 1:
            raise ValueError(
                f"Argument `factors` must hold modules of one rank, but their outputs have {ranks} columns."
            )
        self.read_out = affine_maps((ranks[0], out_features), device, dtype)[0]
        reset(self.read_out, generator)

    @classmethod
    def of_mlps(
        cls,
        in_features: int,
        hidden_sizes: int | Sequence[int],
        rank: int,
        out_features: int = 1,
        *,
        activation: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> "Separable":
        """Build it with an MLP for each input; their last biases are 1, so that products begin near 1."""
        like: dict[str, Any] = {"device": device, "dtype": dtype, "generator": generator}
        factors = [
            MLP(1, hidden_sizes, rank, activation=activation, **like)
            for _ in range(checks.as_int(in_features, "in_features", 1))
        ]
        for factor in factors:
            nn.init.ones_(factor.layers[-1].bias)  # pyright: ignore[reportArgumentType]
        return cls(factors, out_features, **like)

    def forward(self, inputs: Array) -> Array:
        """Return the fields, before trial functions."""
        if inputs.shape[-1] != len(self.factors):
            raise ValueError(
                f"Argument `inputs` must have one column a factor ({len(self.factors)}), but has shape "
                f"{tuple(inputs.shape)}."
            )
        return self.read_out(self._product(inputs))

    def _product(self, inputs: Array) -> Any:
        """Return the product of the factors; where they are frozen, that of the last few inputs is known already."""
        given, orders = (inputs.data, inputs.orders) if isinstance(inputs, Jet) else (inputs, None)
        is_traced = checks.in_transform() or checks.in_forward_mode()
        if is_traced or given.requires_grad or any(part.requires_grad for part in self.factors.parameters()):
            return self._multiplied(inputs)
        tensors = (*self.factors.parameters(), *self.factors.buffers())
        state = (given.dtype, given.device, *((part.data_ptr(), part._version) for part in tensors))
        for known, product in self._known:
            if known[1:] == (orders, state) and known[0].shape == given.shape and torch.equal(known[0], given):
                return product
        product = self._multiplied(inputs)
        self._known = [((given.detach().clone(), orders, state), product), *self._known][:N_KNOWN]
        return product

    def forget(self) -> None:
        """Drop the products that are known; a model that is kept after its training needs their memory no longer."""
        self._known = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the products that are known, which can be computed again."""
        return {**super().__getstate__(), "_known": []}

    def _multiplied(self, inputs: Array) -> Any:
        product: Any = None
        for index, factor in enumerate(self.factors):
            column = inputs.data[..., index, None] if isinstance(inputs, Jet) else inputs[..., index, None]
            value = _composed(factor, column, inputs.orders) if isinstance(inputs, Jet) else factor(column)
            product = value if product is None else product * value
        return product


def _composed(factor: nn.Module, column: Tensor, orders: Orders) -> Jet:
    """Apply a function of one variable to a jet: f, f' d_k, f' s + f'' sum_k c_k d_k^2, and its towers.

    Args:
        factor: the function f.
        column: components of the argument, (components, ..., 1).
        orders: of the components.
    """
    own = TO_FOURTH if orders.towers else BOTH if orders.forms else FIRST
    start = torch.zeros(own.n_components, *column.shape[1:], dtype=column.dtype, device=column.device)
    start[1] = 1.0
    start = torch.cat([column[:1], start[1:]])
    value, slope, *bend = factor(Jet(start, own)).data.unbind()
    rows = column[1:].unbind()
    firsts, seconds = rows[: orders.n_first], rows[orders.n_first : orders.n_first + orders.n_second]
    parts = [value, *(slope * first for first in firsts)]
    for form, second in zip(orders.forms, seconds, strict=True):
        square = torch.stack([scale * firsts[direction].square() for direction, scale in form]).sum(0)
        parts.append(slope * second + bend[0] * square)
    parts += [slope * row for row in rows[orders.n_first + orders.n_second :]]
    result = torch.stack(parts)
    if orders.towers:
        add_activation(result, column, orders, bend)
    return Jet(result, orders)


def _rank(factor: nn.Module, device: torch.device | str | None, dtype: torch.dtype | None) -> int:
    like = next(factor.parameters(), torch.empty(0, device=device, dtype=dtype))
    with torch.no_grad():
        return int(factor(torch.zeros(1, 1, dtype=like.dtype, device=like.device)).shape[-1])
