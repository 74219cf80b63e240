"""Jets, which are values with derivatives: their rules, their buffers, and their contract with modules."""

from qml.jets.jet import CoordinateJet as CoordinateJet
from qml.jets.jet import Jet as Jet
from qml.jets.jet import JetError as JetError
from qml.jets.orders import Orders as Orders
from qml.jets.protocol import EdgeSeries as EdgeSeries
from qml.jets.protocol import JetLayer as JetLayer
from qml.jets.protocol import JetModule as JetModule
from qml.jets.protocol import RowWeightsModule as RowWeightsModule
from qml.jets.protocol import fulfils as fulfils
from qml.jets.rules import require_first_order as require_first_order
