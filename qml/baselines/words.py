"""RNN and LSTM on words of bits: the classical twins of recurrent quantum networks."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from qml import checks

Kind = Literal["rnn", "lstm"]
LAYERS: dict[str, type[nn.RNN] | type[nn.LSTM]] = {"rnn": nn.RNN, "lstm": nn.LSTM}


class WordRNN(nn.Module):
    """A recurrent layer on the bits of each word, and an affine map to a logit a word.

    Args:
        kind: `"rnn"` (tanh) or `"lstm"`.
        n_bits: bits of a word.
        hidden_size: units.
        device: Where the parameters live.
        dtype: Their type.
        generator: Source of the initial weights; None takes torch's own.

    Shape:
        Words (batch, time) to logits (batch, time, 2**n_bits).

    Attributes:
        layer: The nn.RNN or nn.LSTM, initialised U(-k, k) with k = 1/sqrt(hidden_size), as torch does.
        readout: The nn.Linear, initialised in the same way.
    """

    def __init__(
        self,
        kind: Kind,
        n_bits: int,
        hidden_size: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_choice(kind, "kind", tuple(LAYERS))
        checks.require_generator(generator)
        hidden_size = checks.as_int(hidden_size, "hidden_size", 1, " Pass for example 8.")
        self.n_bits = n_bits = checks.as_int(n_bits, "n_bits", 1)
        place = torch.get_default_device() if device is None else device
        layer = LAYERS[kind](n_bits, hidden_size, batch_first=True, device="meta", dtype=dtype)
        self.layer = layer.to_empty(device=place)
        self.readout = nn.Linear(hidden_size, 2**n_bits, device="meta", dtype=dtype).to_empty(device=place)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        bound = 1.0 / math.sqrt(self.readout.in_features)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, words: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time outputs"]:
        """Compute the logits of the word after each."""
        logits = self.readout(self.layer(self.bits(self._as_words(words)))[0])
        checks.require_finite_result(logits, self)
        return logits

    def _as_words(self, words: Any) -> Tensor:
        """Return words that are integers below 2**n_bits, (batch, time), on the layer's device."""
        checks.require_tensor(words, "words")
        if words.dtype == torch.bool or words.is_floating_point() or words.is_complex():
            raise TypeError(f"Argument `words` must hold integers, but is {words.dtype}. Pass words.long().")
        if words.ndim != 2:
            raise ValueError(f"Argument `words` must have shape (batch, time), but has shape {tuple(words.shape)}.")
        place = self.readout.weight.device
        if words.device != place:
            raise ValueError(f"Argument `words` must be on {place}, where the layer is, but is on {words.device}.")
        if words.numel() and not words.is_meta and not checks.hides_values_of(words):
            low, high = (int(bound) for bound in words.aminmax())
            if low < 0 or high >= 2**self.n_bits:
                raise ValueError(
                    f"Argument `words` must lie in 0..{2**self.n_bits - 1}, but holds {low if low < 0 else high}."
                )
        return words

    def bits(self, words: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch bits"]:
        """Return the bits of words as -1 and +1, the most significant first."""
        shifts = torch.arange(self.n_bits - 1, -1, -1, device=words.device)
        return 2.0 * ((words[..., None] >> shifts) & 1).to(self.readout.weight.dtype) - 1.0


def word_hidden_size_for(n_parameters: int, kind: Kind, n_bits: int) -> int:
    """Return the units that bring `WordRNN` nearest to `n_parameters`, at least 1."""
    gates = 4 if kind == "lstm" else 1

    def count(hidden: int) -> int:
        return gates * hidden * (n_bits + hidden + 2) + (hidden + 1) * 2**n_bits

    sizes = range(1, 2 + math.isqrt(n_parameters))
    return min(sizes, key=lambda hidden: abs(count(hidden) - n_parameters))
