"""Classical errors of the read-out: a qubit in 0 reads 1 with probability p, a qubit in 1 reads 0 with probability q.

A Pauli operator P that is read off a qubit (in its own basis) becomes (1 - p - q) P + (q - p).
"""

from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from circuits import Observable
from qml.simulator.draws import uniform

Errors = tuple[float, float]
MAX_NOISY_FACTORS = 10  # of a string that unequal errors turn into 2**factors strings


@lru_cache(maxsize=256)
def noisy_observables(observables: tuple[Observable, ...], errors: Errors) -> tuple[Observable, ...]:
    """Return the observables whose exact expectation values are those of `observables` with read-out errors."""
    return tuple(_noisy(observable, errors) for observable in observables)


def _noisy(observable: Observable, errors: Errors) -> Observable:
    p, q = errors
    longest = max((len(factors) for _, factors in observable.terms), default=0)
    if p != q and longest > MAX_NOISY_FACTORS:
        raise ValueError(
            f"With unequal read-out errors a Pauli string must have at most {MAX_NOISY_FACTORS} factors (it turns into "
            f"2**k strings), but one has {longest}. Use equal errors, or take probabilities."
        )
    terms = []
    for coefficient, factors in observable.terms:
        choices = (True,) if p == q else (True, False)
        for kept in product(choices, repeat=len(factors)):
            scale = coefficient
            for keep in kept:
                scale *= (1.0 - p - q) if keep else (q - p)
            terms.append((scale, tuple(factor for factor, keep in zip(factors, kept, strict=True) if keep)))
    return Observable(tuple(term for term in terms if term[0] != 0.0))


def noisy_probabilities(probabilities: Tensor, errors: Errors) -> Tensor:
    """Compute the probabilities of the erroneous outcomes; (batch, 2**k) to the same."""
    p, q = errors
    confusion = probabilities.new_tensor([[1.0 - p, q], [p, 1.0 - q]])
    shape = probabilities.shape
    for k in range(shape[1].bit_length() - 1):
        probabilities = torch.matmul(confusion, probabilities.reshape(-1, 2, shape[1] >> (k + 1))).reshape(shape)
    return probabilities


def flip_bits(bits: Tensor, errors: Errors, generator: torch.Generator | None) -> Tensor:
    """Flip bits at random with the probabilities of the errors."""
    p, q = errors
    chance = torch.where(bits == 0, p, q)
    return bits ^ (uniform(bits.shape, chance, generator) < chance).to(bits.dtype)
