"""The way around torch.compile; imported only while it traces, because it brings the compiler with it."""

from collections.abc import Callable
from typing import Any

import torch


def _call(backend: Any, method: str, *arguments: Any) -> Any:
    """Run a backend's method as it is, between the compiled graphs: its planner is Python."""
    return getattr(backend, method)(*arguments)


call: Callable[..., Any] = torch.compiler.disable(_call)
