"""A small transformer of characters whose blocks behind the attention are exchanged."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

WIDTH, N_HEADS, N_LAYERS, CONTEXT = 32, 2, 2, 32
MakeBlock = Callable[[torch.Generator], nn.Module | None]


class CharacterModel(nn.Module):
    """A transformer: embedding, `N_LAYERS` times (attention, block) with residuals, the embedding again as read-out.

    Args:
        n_characters: Size of the alphabet.
        make_block: Makes the block behind an attention, (..., 32) to (..., 32); it returns None for no block.
        generator: Source of the initial weights.

    Shape:
        (batch, time) to logits (batch, time, n_characters), time at most 32.
    """

    def __init__(self, n_characters: int, make_block: MakeBlock, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(n_characters, WIDTH))
        self.places = nn.Parameter(torch.empty(CONTEXT, WIDTH))
        for parameter in (self.embedding, self.places):
            nn.init.normal_(parameter, std=0.1, generator=generator)
        self.attentions = nn.ModuleList(Attention(generator) for _ in range(N_LAYERS))
        made = [make_block(generator) for _ in range(N_LAYERS)]
        self.blocks = nn.ModuleList(block for block in made if block is not None)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(len(self.blocks)))
        self.last_norm = nn.LayerNorm(WIDTH)

    def forward(self, codes: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time outputs"]:
        """Return the logits of the character after each position."""
        hidden = self.embedding[codes] + self.places[: codes.shape[1]]
        for layer, attention in enumerate(self.attentions):
            hidden = hidden + attention(hidden)
            if len(self.blocks):
                hidden = hidden + self.blocks[layer](self.norms[layer](hidden))
        return self.last_norm(hidden) @ self.embedding.mT


class Attention(nn.Module):
    """A causal attention with its own layer norm."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.inward = affine(WIDTH, 3 * WIDTH, generator)
        self.outward = affine(WIDTH, WIDTH, generator)

    def forward(self, hidden: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "batch time hidden"]:
        """Mix each position with those before it."""
        parts = self.inward(self.norm(hidden)).unflatten(-1, (3, N_HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(*parts, is_causal=True)
        return self.outward(mixed.transpose(1, 2).flatten(2))


class MLPBlock(nn.Module):
    """A block of two affine maps with GELU between them."""

    def __init__(self, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inward = affine(WIDTH, hidden_size, generator)
        self.outward = affine(hidden_size, WIDTH, generator)

    def forward(self, hidden: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch hidden"]:
        """Map each position by itself."""
        return self.outward(nn.functional.gelu(self.inward(hidden)))


def affine(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return an affine map drawn from U(-k, k) with k = 1/sqrt(n_inputs), as torch starts it."""
    layer = nn.Linear(n_inputs, n_outputs, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(n_inputs**-0.5), n_inputs**-0.5, generator=generator)
    return layer


def batch_loss(model: nn.Module, windows: Int[Tensor, "batch time"]) -> Float[Tensor, ""]:
    """Compute the mean cross-entropy of all characters but the first, in nats."""
    return cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


def windows_of(codes: Int[Tensor, " time"], start: int = 0) -> Int[Tensor, "batch length"]:
    """Cut the text from `start` on into consecutive stretches of 32 characters, each with the one after it."""
    return codes[start:].unfold(0, CONTEXT + 1, CONTEXT)


def bigram_loss(train: Int[Tensor, " time"], test: Int[Tensor, " later"], n_characters: int) -> float:
    """Compute the mean cross-entropy of the frequencies of pairs, each counted once more than it occurs."""
    counts = torch.ones(n_characters, n_characters, dtype=torch.float64)
    counts.index_put_((train[:-1], train[1:]), torch.ones(len(train) - 1, dtype=torch.float64), accumulate=True)
    chances = counts / counts.sum(1, keepdim=True)
    loss = -chances[test[:-1], test[1:]].log().mean()
    return float(loss) if math.isfinite(loss) else math.inf
