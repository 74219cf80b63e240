"""Curves of a training in TensorBoard, MLflow, or whatever takes numbers by name and step."""

from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat

Log = Callable[[int, Mapping[str, SupportsFloat]], None]


def curves_to(writer: Any, *, prefix: str = "") -> Log:
    """Return a callback `log(step, values)` that adds one point to every curve named in `values`.

    The estimators take it in `fit(X, y, callback=log)`, and a loop of your own calls it. skorch, Lightning and
    accelerate have loggers of their own.

    Args:
        writer: a `torch.utils.tensorboard.SummaryWriter`; the module `mlflow`, within a run; a logger of Lightning; or
            anything with `add_scalar(name, value, step)` or `log_metrics(values, step=step)`.
        prefix: written before every name, as in `"train/"`.

    Raises:
        TypeError: a writer with neither method.

    Example:
        >>> import types
        >>> from qml.nn import curves_to
        >>> writer = types.SimpleNamespace(add_scalar=print)
        >>> log = curves_to(writer, prefix="train/")
        >>> log(3, {"loss": 0.5})
        train/loss 0.5 3
    """
    if callable(getattr(writer, "add_scalar", None)):

        def log(step: int, values: Mapping[str, SupportsFloat]) -> None:
            for name, value in values.items():
                writer.add_scalar(prefix + name, float(value), step)

    elif callable(getattr(writer, "log_metrics", None)):

        def log(step: int, values: Mapping[str, SupportsFloat]) -> None:
            writer.log_metrics({prefix + name: float(value) for name, value in values.items()}, step=step)

    else:
        raise TypeError(
            "Argument `writer` must have a method add_scalar, as TensorBoard's SummaryWriter, or log_metrics, as "
            f"mlflow, but is {type(writer).__name__}."
        )
    return log
