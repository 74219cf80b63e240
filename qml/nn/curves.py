"""Curves of a training in TensorBoard, MLflow, or whatever takes numbers by name and step."""

from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat

from circuits.plain_checks import as_text, require_kind

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
        TypeError: a writer with neither method, a prefix or a curve's name that is no str; by `log`, a value that is no
            single number.

    Example:
        >>> import types
        >>> from qml.nn import curves_to
        >>> writer = types.SimpleNamespace(add_scalar=print)
        >>> log = curves_to(writer, prefix="train/")
        >>> log(3, {"loss": 0.5})
        train/loss 0.5 3
    """
    require_kind(prefix, "prefix", str)
    if callable(getattr(writer, "add_scalar", None)):

        def log(step: int, values: Mapping[str, SupportsFloat]) -> None:
            for name, value in _points(values, prefix).items():
                writer.add_scalar(name, value, step)

    elif callable(getattr(writer, "log_metrics", None)):

        def log(step: int, values: Mapping[str, SupportsFloat]) -> None:
            writer.log_metrics(_points(values, prefix), step=step)

    else:
        raise TypeError(
            "Argument `writer` must have a method add_scalar, as TensorBoard's SummaryWriter, or log_metrics, as "
            f"mlflow, but is {type(writer).__name__}."
        )
    return log


def _points(values: Mapping[str, SupportsFloat], prefix: str) -> dict[str, float]:
    """Return one number for every curve, by its whole name."""
    require_kind(values, "values", Mapping, ' Use {"loss": loss} for example.')
    return {prefix + as_text(name, "name"): _number(name, value) for name, value in values.items()}


def _number(name: str, value: Any) -> float:
    value = value.detach() if hasattr(value, "detach") else value
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError("it is text")
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"Value `{name}` must be one real number, but is {type(value).__name__} ({error}).") from error
