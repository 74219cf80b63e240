"""RNN and LSTM on words of bits: the classical twins of recurrent quantum networks."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Kind = Literal["rnn", "lstm"]
LAYERS: dict[str, type[nn.RNN] | type[nn.LSTM]] = {"rnn": nn.RNN, "lstm": nn.LSTM}


class WordRNN(nn.Module):
    """One recurrent layer on the bits of each word, and an affine map to a logit a word.

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
        if kind not in LAYERS:
            raise ValueError(f"Argument `kind` must be one of {', '.join(LAYERS)}, but is {kind!r}.")
        if hidden_size < 1:
            raise ValueError(f"Argument `hidden_size` must be at least 1, but is {hidden_size}. Pass for example 8.")
        self.n_bits = n_bits
        layer = LAYERS[kind](n_bits, hidden_size, batch_first=True, device="meta", dtype=dtype)
        self.layer = layer.to_empty(device=device or "cpu")
        self.readout = nn.Linear(hidden_size, 2**n_bits, device="meta", dtype=dtype).to_empty(device=device or "cpu")
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        bound = 1.0 / math.sqrt(self.readout.in_features)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, words: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time outputs"]:
        """Logits of the word that comes out after each."""
        return self.readout(self.layer(self.bits(words))[0])

    def bits(self, words: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch bits"]:
        """The bits of words as -1 and +1, the most significant first."""
        shifts = torch.arange(self.n_bits - 1, -1, -1, device=words.device)
        return 2.0 * ((words[..., None] >> shifts) & 1).to(self.readout.weight.dtype) - 1.0


def word_hidden_size_for(n_parameters: int, kind: Kind, n_bits: int) -> int:
    """Units that bring `WordRNN` nearest to `n_parameters`, at least 1."""
    gates = 4 if kind == "lstm" else 1

    def count(hidden: int) -> int:
        return gates * hidden * (n_bits + hidden + 2) + (hidden + 1) * 2**n_bits

    sizes = range(1, 2 + math.isqrt(n_parameters))
    return min(sizes, key=lambda hidden: abs(count(hidden) - n_parameters))
