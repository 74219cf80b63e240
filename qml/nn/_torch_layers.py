"""torch's own layers in files: which can be written, and their constructor arguments, which are read off attributes."""

import inspect
from functools import lru_cache
from typing import Any

from torch import Tensor, nn

CLASSIC = "Linear Bilinear Identity Flatten Unflatten Embedding EmbeddingBag MultiheadAttention"
CONVOLUTIONS = "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Fold Unfold"
NORMS = (
    "BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm GroupNorm RMSNorm "
    "LocalResponseNorm"
)
ACTIVATIONS = (
    "ReLU ReLU6 LeakyReLU PReLU RReLU ELU CELU SELU GELU GLU SiLU Mish Sigmoid LogSigmoid Tanh Hardtanh Hardsigmoid "
    "Hardswish Hardshrink Softshrink Tanhshrink Softplus Softsign Softmin Softmax Softmax2d LogSoftmax Threshold"
)
DROPOUTS = "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout"
RECURRENT = "RNN LSTM GRU RNNCell LSTMCell GRUCell"
POOLS = (
    "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d LPPool3d AdaptiveMaxPool1d "
    "AdaptiveMaxPool2d AdaptiveMaxPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d"
)
PADS = " ".join(
    f"{kind}Pad{n}d" for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular") for n in (1, 2, 3)
)
RESIZERS = "Upsample UpsamplingNearest2d UpsamplingBilinear2d PixelShuffle PixelUnshuffle ChannelShuffle"
DISTANCES = "CosineSimilarity PairwiseDistance"

TORCH_LAYERS: dict[str, type[nn.Module]] = {
    name: getattr(nn, name)
    for names in (*(CLASSIC, CONVOLUTIONS, NORMS, ACTIVATIONS, DROPOUTS, RECURRENT, POOLS, PADS, RESIZERS, DISTANCES),)
    for name in names.split()
}
"""torch's layers that a file can hold, by their names in `torch.nn`."""

PLACE = ("device", "dtype")
OLD_NAMES = ("args", "kwargs", "min_value", "max_value", "_weight", "_freeze")
"""Parameters of constructors that say nothing which an attribute does not say."""
RECURRENT_ARGUMENTS: dict[str, tuple[str, ...]] = {
    name: (
        *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"),
        *{"LSTM": ("proj_size",), "RNN": ("nonlinearity",)}.get(name, ()),
    )
    for name in ("RNN", "LSTM", "GRU")
}
OTHER_ATTRIBUTES: dict[tuple[str, str], str] = {
    ("MultiheadAttention", "bias"): "in_proj_bias",
    ("MultiheadAttention", "add_bias_kv"): "bias_k",
    ("PairwiseDistance", "p"): "norm",
}
"""Where the attribute has another name than the argument."""


@lru_cache
def arguments_of(name: str) -> tuple[str, ...]:
    """Return the names of the constructor arguments of a layer of torch, device and dtype left out."""
    if name in RECURRENT_ARGUMENTS:
        return RECURRENT_ARGUMENTS[name]
    return tuple(
        parameter
        for parameter in inspect.signature(TORCH_LAYERS[name]).parameters
        if parameter not in (*PLACE, *OLD_NAMES)
    )


@lru_cache
def takes_place(name: str) -> bool:
    """Tell whether the constructor of a layer of torch takes device and dtype."""
    return name in RECURRENT_ARGUMENTS or "dtype" in inspect.signature(TORCH_LAYERS[name]).parameters


def torch_config(layer: nn.Module) -> dict[str, Any]:
    """Return the constructor arguments of one of `TORCH_LAYERS`; tuples may have names in place of numbers."""
    name = type(layer).__name__
    config = {}
    for argument in arguments_of(name):
        value = getattr(layer, OTHER_ATTRIBUTES.get((name, argument), argument))
        # whether there is a bias is told by the bias itself
        is_parameter = argument in ("bias", "add_bias_kv") and not isinstance(value, bool)
        config[argument] = value is not None if is_parameter else value
    return config


def plain_attributes(layer: nn.Module) -> dict[str, Any]:
    """Return what a layer holds beside torch's own attributes and tensors, to compare two layers by."""
    common = vars(nn.Module())
    return {
        name: value
        for name, value in vars(layer).items()
        if name not in common and not name.startswith("_") and not isinstance(value, Tensor | nn.Module)
    }
