"""Measures of how the code reads, by its syntax tree: `python -m tools.house TREE...` prints a column a tree.

A tree is a checkout of the repository. Packages are measured together, tests only by their length.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

PACKAGES = ("circuits", "qml")
MANY_ARGUMENTS, MANY_METHODS = 6, 12
FRAGMENTS = ("What", "One", "Whether", "Of")  # a docstring that begins so is no sentence
VAGUE = ("found", "lanes")  # variables whose names do not say what they hold
WIDE = ("Any", "object")
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Definition = FunctionNode | ast.ClassDef


class House:
    """The parsed files of a checkout.

    Args:
        root: Folder of the checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
        self.texts = {path.relative_to(root): path.read_text(encoding="utf-8") for path in paths}
        self.trees = {path: ast.parse(text) for path, text in self.texts.items()}
        self.nodes = [node for tree in self.trees.values() for node in ast.walk(tree)]
        self.functions = [node for node in self.nodes if isinstance(node, FunctionNode)]
        self.classes = [node for tree in self.trees.values() for node in classes_of(tree)]

    def measures(self) -> dict[str, str]:
        """Return each measure as text, by name."""
        files = [len(text.splitlines()) for text in self.texts.values()]
        bodies = sorted(body_length(node) for node in self.functions)
        body = [percentile(bodies, share) for share in (0.5, 0.9, 0.99, 1.0)]
        annotations = [argument.annotation for node in self.functions for argument in arguments_of(node)]
        typed = [annotation for annotation in annotations if annotation is not None]
        wide = [annotation for annotation in typed if ast.unparse(annotation) in WIDE]
        many_arguments = sum(len(arguments_of(node)) > MANY_ARGUMENTS for node in self.functions)
        public = [node for tree in self.trees.values() for node in public_definitions(tree)]
        bare = sum(ast.get_docstring(node) is None for node in public)
        docstrings = [ast.get_docstring(node) or "" for node in (*self.functions, *self.classes)]
        modules = Counter(name for tree in self.trees.values() for name in {c.name for c in classes_of(tree)})
        identifiers = Counter(name for node in self.nodes for name in names_of(node))
        return {
            "lines (files)": f"{sum(files):,} ({len(files)})",
            "body p50/p90/p99/max, in lines": "/".join(map(str, body)),
            "file median/max": f"{median(files):.0f}/{max(files)}",
            "arguments typed": f"{100 * len(typed) / len(annotations):.1f} %",
            "of those `Any` or `object`": f"{100 * len(wide) / len(typed):.1f} %",
            f"functions of more than {MANY_ARGUMENTS} arguments": str(many_arguments),
            f"classes of more than {MANY_METHODS} methods": str(sum(n_methods(c) > MANY_METHODS for c in self.classes)),
            "public without docstring": f"{100 * bare / len(public):.1f} %",
            "type ignores per 1000 lines": self._per_kloc(r"#.*(?:pyright|type): ignore", sum(files)),
            "noqa per 1000 lines": self._per_kloc(r"# noqa", sum(files)),
            "TODO, FIXME, HACK": str(self._count(r"\b(?:TODO|FIXME|HACK)\b")),
            "lines of tests / of code": f"{lines_under(self.root / 'tests') / sum(files):.2f}",
            "class names in two modules or more": str(sum(count > 1 for count in modules.values())),
            f"docstrings that begin with {', '.join(FRAGMENTS)}": str(
                sum(text.split(maxsplit=1)[0] in FRAGMENTS for text in docstrings if text.strip())
            ),
            **{f"`{name}` as an identifier": str(identifiers[name]) for name in VAGUE},
            "private imports across rooms": str(sum(map(n_private_imports, self.trees, self.trees.values()))),
            "README lines": str(len((self.root / "README.md").read_text(encoding="utf-8").splitlines())),
        }

    def _count(self, pattern: str) -> int:
        return sum(len(re.findall(pattern, text)) for text in self.texts.values())

    def _per_kloc(self, pattern: str, lines: int) -> str:
        return f"{1000 * self._count(pattern) / lines:.1f} ({self._count(pattern)})"


def markdown(columns: dict[str, dict[str, str]]) -> str:
    """Return a table with a row a measure and a column a tree."""
    rows = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in next(iter(columns.values())):
        rows.append(f"| {name} | " + " | ".join(column[name] for column in columns.values()) + " |")
    return "\n".join(rows) + "\n"


def classes_of(tree: ast.Module) -> list[ast.ClassDef]:
    """Return the classes that a module defines, at any depth."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def body_length(node: FunctionNode) -> int:
    """Count the lines from the first statement that is no docstring to the last."""
    statements = node.body[ast.get_docstring(node) is not None :]
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def arguments_of(node: FunctionNode) -> list[ast.arg]:
    """Return all arguments but self and cls."""
    listed = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
    return [argument for argument in listed if argument is not None and argument.arg not in {"self", "cls"}]


def public_definitions(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Yield the public classes, functions and methods of a module."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child)


def names_of(node: ast.AST) -> list[str]:
    """Return the identifiers that a node brings in."""
    return [node.id] if isinstance(node, ast.Name) else [node.arg] if isinstance(node, ast.arg) else []


def n_methods(node: ast.ClassDef) -> int:
    """Count methods, those of Python's own protocols left out."""
    return sum(isinstance(child, FunctionNode) and not child.name.startswith("__") for child in node.body)


def n_private_imports(path: Path, tree: ast.Module) -> int:
    """Count imports of underscored modules or names from another room: a folder in a package."""
    n_private = 0
    for node in [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]:
        for alias in node.names if not node.level else ():
            parts = f"{node.module}.{alias.name}".split(".")
            owner = next((number for number, part in enumerate(parts) if re.match("_[^_]", part)), 0)
            n_private += parts[0] in PACKAGES and tuple(parts[: min(owner, 2)]) != path.parts[: min(owner, 2)]
    return n_private


def percentile(ordered: Sequence[int], share: float) -> int:
    """Return the value that a share of an ordered sequence does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def lines_under(folder: Path) -> int:
    """Count the lines of all Python files in a folder."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.rglob("*.py"))


if __name__ == "__main__":
    sys.stdout.write(markdown({Path(tree).resolve().name: House(Path(tree)).measures() for tree in sys.argv[1:]}))
