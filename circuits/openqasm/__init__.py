"""OpenQASM 2 and 3, written and read."""

from circuits.openqasm.writer import computed_from_openqasm as computed_from_openqasm
from circuits.openqasm.writer import from_openqasm as from_openqasm
from circuits.openqasm.writer import to_openqasm as to_openqasm
