"""The options of Pauli propagation."""

from dataclasses import dataclass

from qml import checks

NOTHING_LEFT = " Every string but the identity would be dropped."


@dataclass(frozen=True)
class PauliPropagation:
    """A way to compute expectation values: Pauli strings move backwards through the circuit; see `Native`.

    By default nothing is dropped and values are exact. Each of the first four arguments drops strings. The first three
    do not look at angles: what is kept is the same for all samples and all weights, values are trigonometric
    polynomials of the angles, and derivatives of any order are right. A product of rotations that splits a string n
    times has n factors of sines and cosines; strings that meet count as the one with the fewest.
    Rotations by constant angles count too, unless they are multiples of pi / 2.

    Args:
        max_weight: the most letters other than I that a string may have, at least 1. It is looked at before rotations
            that split strings, after channels and at the end, and at an observable's own strings too.
        max_sines: the most factors that are sines: an expansion in small angles, whose error is of order
            angle ** (max_sines + 1).
        max_frequency: the most factors, sines and cosines.
        min_coefficient: the least modulus of a coefficient, above 0. What is kept depends on the angles: it is planned
            again for every sample at every call, values jump where a string comes or goes, and gradients, of first
            order, are those of the strings that are kept.
        max_strings: strings above which the circuit is refused; nothing is dropped to get below.

    Raises:
        ValueError: a number out of its range.
        TypeError: a number of another kind.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z, weight
        >>> from qml.backends import Native, PauliPropagation
        >>> circuit = Circuit(2).rx(weight(0), 0).rzz(0.3, 0, 1).rx(weight(1), 0)
        >>> backend = Native(method=PauliPropagation(max_sines=1))
        >>> backend.expectation(circuit, torch.zeros(1, 0), torch.tensor([0.1, 0.2]), [Z(0)]).shape
        torch.Size([1, 1])
    """

    max_weight: int | None = None
    max_sines: int | None = None
    max_frequency: int | None = None
    min_coefficient: float | None = None
    max_strings: int = 2**22

    def __post_init__(self) -> None:
        for name, minimum in (("max_weight", 1), ("max_sines", 0), ("max_frequency", 0), ("max_strings", 1)):
            value = getattr(self, name)
            if value is not None or name == "max_strings":
                why = NOTHING_LEFT if name == "max_weight" else ""
                object.__setattr__(self, name, checks.as_int(value, name, minimum, why))
        if self.min_coefficient is not None:
            cut = checks.as_number(self.min_coefficient, "min_coefficient", above=0.0)
            object.__setattr__(self, "min_coefficient", cut)

    @property
    def drops_nothing(self) -> bool:
        """Tell whether values are exact."""
        cuts = (self.max_weight, self.max_sines, self.max_frequency, self.min_coefficient)
        return all(cut is None for cut in cuts)
