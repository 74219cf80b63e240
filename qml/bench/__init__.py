"""Speed, side by side with the peers that are installed."""

from qml.bench.bench import Bench as Bench
from qml.bench.bench import Case as Case
from qml.bench.bench import Peer as Peer
from qml.bench.catalogue import BENCHES as BENCHES
from qml.bench.run import run as run
from qml.bench.table import BenchRow as BenchRow
