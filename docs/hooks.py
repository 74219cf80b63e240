"""What mkdocs runs: API pages list the public names of a package as its `__init__.py` re-exports them."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def on_page_markdown(markdown: str, **others: Any) -> str:
    """Put an entry for each public name where a page asks for them."""
    return re.sub(r"\{\{ public names of ([\w.]+) \}\}", lambda match: _entries(match[1]), markdown)


def _entries(package: str) -> str:
    source = ROOT.joinpath(*package.split("."), "__init__.py").read_text(encoding="utf-8")
    names = re.findall(r"^from \S+ import \w+ as (\w+)$", source, re.MULTILINE)
    return "\n\n".join(f"::: {package}.{name}" for name in names)
