"""Arguments under the names that `torch.nn.LSTM` gives them."""

from typing import Any


def either(value: Any, other: Any, name: str, torchs_name: str) -> Any:
    """Return an argument given under our name or under torch's; both at once are refused."""
    if value is not None and other is not None:
        raise TypeError(
            f"Argument `{torchs_name}` must be left out where `{name}` is given, which is the same argument, but both "
            "are given. Pass one of them."
        )
    return value if other is None else other
