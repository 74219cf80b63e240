"""Tables that say what can be timed, before anything runs."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qml.bench.bench import Bench
from qml.bench.catalogue import BENCHES, choose, load
from qml.bench.compare import PAIR_SECONDS, TURN_SECONDS, TURNS
from qml.terminal import verbatim

MINIMUM = 2 * TURNS * TURN_SECONDS + 10.0  # seconds of a pair: ours and the peer take turns, and two processes start
TIMES = (
    f"A pair of ours and a peer takes {MINIMUM:.0f} s to {PAIR_SECONDS:.0f} s, roughly, and a library that compiles "
    "minutes more. Peers that are not installed are left out."
)


def benches_listing() -> RenderableType:
    """Return a line for each bench: its work, its cases, its peers, and rough times."""
    table = _table("bench", "a step", "cases", "peers", "time at least")
    for name, module in BENCHES.items():
        bench = load(module)
        pairs = sum(len(_installed(bench, case, None)) for case in bench.cases)
        table.add_row(
            verbatim(name, style="bold"),
            verbatim(bench.title),
            f"{len(bench.cases)}",
            verbatim(", ".join(bench.peers)),
            _minutes(pairs),
        )
    return Group(table, Text(), verbatim(TIMES), verbatim("`qml bench NAME --help` tells cases and peers of a bench."))


def bench_help(name: str) -> RenderableType:
    """Return a bench's work, cases and peers, and how to install the peers that are missing.

    Raises:
        ValueError: If there is no such bench.
    """
    bench = _find(name)
    usage = verbatim(f"Usage: qml bench {name} [--case CASE ...] [--peer PEER ...] [--json FILE] [--dry-run]")
    peers = _table("peer", "same work", "installed")
    for peer, entry in bench.peers.items():
        state = f"no: pip install {entry.install}" if entry.missing() else "yes"
        peers.add_row(verbatim(peer, style="bold"), "yes" if entry.same_work else "no", verbatim(state))
    cases = _table("case", "timed beside")
    for case, entry in bench.cases.items():
        cases.add_row(verbatim(case, style="bold"), verbatim(", ".join(entry.peers) or "none: ours alone"))
    return Group(
        verbatim(bench.title, style="bold"), Text(), usage, Text(), cases, Text(), peers, Text(), verbatim(TIMES)
    )


def dry_run(name: str, *, cases: Sequence[str] | None, peers: Sequence[str] | None) -> RenderableType:
    """Return a line for each chosen case, with the peers that would be timed.

    Raises:
        ValueError: If there is no such bench, case or peer.
    """
    bench = _find(name)
    chosen_peers = choose("peers", peers or None, bench.peers)
    table = _table("case", "timed beside", "not installed", "time at least")
    total = 0
    for case in choose("cases", cases or None, bench.cases):
        beside = _installed(bench, case, chosen_peers)
        missing = [peer for peer in bench.cases[case].peers if peer in chosen_peers and peer not in beside]
        shown = (", ".join(beside) or "none: ours alone", ", ".join(missing) or "-")
        table.add_row(verbatim(case, style="bold"), *map(verbatim, shown), _minutes(len(beside)))
        total += len(beside)
    ends = [f"All together: at least {_minutes(total)}.", TIMES, "Nothing was timed."]
    return Group(table, Text(), *map(verbatim, ends))


def _find(name: str) -> Bench:
    return load(BENCHES[choose("name", [name], BENCHES)[0]])


def _installed(bench: Bench, case: str, chosen: Sequence[str] | None) -> list[str]:
    """Return the peers of a case that are chosen and installed."""
    return [
        peer
        for peer in bench.cases[case].peers
        if (chosen is None or peer in chosen) and not bench.peers[peer].missing()
    ]


def _minutes(pairs: int) -> str:
    return f"{max(1, round(max(pairs, 1) * MINIMUM / 60))} min"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column in ("bench", "case", "peer"))
    return table
