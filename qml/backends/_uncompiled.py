"""The way around torch.compile: the planner is Python and runs as it is, between the compiled graphs."""

from typing import Any

from torch._compile import _disable_dynamo  # unlike torch.compiler.disable it does not import the compiler with it


def _call(backend: Any, method: str, *arguments: Any) -> Any:
    return getattr(backend, method)(*arguments)


call = _disable_dynamo(_call)
"""Run a backend's method outside of the graph that is being traced."""
