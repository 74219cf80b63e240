"""The way around torch.compile; imported only while it traces, because it brings the compiler with it."""

from typing import Any

import torch


@torch.compiler.disable
def call(backend: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """Run a backend's method as it is, between the compiled graphs: its planner is Python."""
    return getattr(backend, method)(*arguments, **options)
