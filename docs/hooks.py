"""What mkdocs runs: API pages list the public names of a package as its `__init__.py` re-exports them."""

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def on_page_markdown(markdown: str, **others: Any) -> str:
    """Put an entry for each public name where a page asks for them."""
    return re.sub(r"\{\{ public names of ([\w.]+) \}\}", lambda match: _entries(match[1]), markdown)


def _entries(package: str) -> str:
    names = _public_names(ROOT.joinpath(*package.split("."), "__init__.py").read_text(encoding="utf-8"))
    if not names:
        raise ValueError(f"A page of the reference must be of a package with public names, but {package} has none.")
    return "\n\n".join(f"::: {package}.{name}" for name in names)


def _public_names(source: str) -> list[str]:
    """Names that are imported `as` themselves or are in `__all__`, in the order of the imports: families together."""
    body = ast.parse(source).body
    listed = [
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    wanted = set(listed[0]) if listed else set()
    imported = [alias for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [alias.name for alias in imported if alias.asname == alias.name or alias.name in wanted]
