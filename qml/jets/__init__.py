"""Values with derivatives: jets, their rules, and the memory that they work in."""

from qml.jets.jet import CoordinateJet as CoordinateJet
from qml.jets.jet import Jet as Jet
from qml.jets.jet import JetError as JetError
from qml.jets.orders import Orders as Orders
from qml.jets.rules import require_first_order as require_first_order
