"""PennyLane as a package of unknown types: its annotations lack the names that its modules make at import."""

from typing import Any

import pennylane as typed

pennylane: Any = typed
math: Any = typed.math
