"""The benches: their form, what they refuse, and that a wrong result never gets a time."""

import io
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from circuits import Circuit
from qml.bench import BENCHES, Bench, BenchRow, Case, Peer, backends, compare, qkan, qnn, run, simulator, wide
from qml.bench.bench import Limits
from qml.bench.catalogue import load
from qml.bench.machine import Machine, measure_traffic
from qml.bench.peers import circuit_peers, pauli_strings
from qml.bench.stops import stops
from qml.bench.table import header, line, summary, write_json
from qml.bench.work import CircuitWork
from qml.bench.worker import Worker, WorkerError

ISSUE_KEYS = ["case", "ours_ms", "peer", "peer_ms", "ratio", "first_call_ms", "peer_first_call_ms"]

TINY_BENCH = """
import os
import numpy as np
from qml.bench import Bench, Case, Peer

def square(case):
    return lambda: {"loss": np.float32(int(case) ** 2), "gradient": np.arange(int(case))}

def wrong(case):
    gradient = np.arange(int(case)) * 1.001
    return lambda: {"loss": np.float32(int(case) ** 2), "gradient": gradient}

def broken(case):
    raise RuntimeError("no such gate")

def dying(case):
    os._exit(3)

PEERS = {
    "good": Peer(square, ("json",), "json"),
    "broken": Peer(broken, (), "broken"),
    "dying": Peer(dying, (), "dying"),
    "absent": Peer(square, ("no_such_library",), "no-such-library"),
    "slow": Peer(square, (), "slow"),
    "wrong": Peer(wrong, (), "wrong"),
}
TIMED = ("good", "broken", "dying", "absent", "wrong")
BENCH = Bench("squares", square, PEERS, {"4": Case(), "3": Case(TIMED, {"slow": "it takes an hour a step"})})
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bench of a few microseconds, in a module that the workers can import."""
    (tmp_path / "tiny_bench.py").write_text(TINY_BENCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(BENCHES, "tiny", "tiny_bench")
    monkeypatch.setattr(compare, "TURN_SECONDS", 1e-3)
    return "tiny"


def a_row(case: str, peer: str | None, ours: float, theirs: float | None) -> BenchRow:
    empty = dict.fromkeys(field.name for field in fields(BenchRow))
    times = dict.fromkeys(("first_call_ms", "ours_min_ms", "ours_max_ms"), ours)
    ratio = None if theirs is None else theirs / ours
    named = {"case": case, "peer": peer, "ours_ms": ours, "peer_ms": theirs, "ratio": ratio, "n_repeats": 1}
    return BenchRow(**(empty | times | named))


def test_rows_are_kept_what_cannot_run_is_named_and_a_wrong_result_ends_the_run(tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.json"
    output = io.StringIO()
    with pytest.raises(compare.ResultMismatchError, match="Peer wrong in case 3 must compute the same `gradient`"):
        run(tiny, json_path=path, console=Console(file=output, width=200), threads=1)
    alone, beside = json.loads(path.read_text())
    assert list(alone)[: len(ISSUE_KEYS)] == list(beside)[: len(ISSUE_KEYS)] == ISSUE_KEYS
    assert (alone["case"], alone["peer"], alone["peer_ms"], alone["ratio"]) == ("4", None, None, None)
    assert (beside["case"], beside["peer"]) == ("3", "good")
    assert beside["ratio"] == pytest.approx(beside["peer_ms"] / beside["ours_ms"])
    assert beside["n_repeats"] >= compare.TURNS
    assert min(alone["ours_ms"], alone["first_call_ms"], beside["peer_first_call_ms"]) > 0
    text = output.getvalue()
    assert "3: broken is left out: RuntimeError: no such gate." in text
    assert "3: dying is left out: its process ended with code 3." in text
    assert "3: absent is left out: no_such_library is not installed, see pip install no-such-library." in text
    assert "3: slow is left out: it takes an hour a step." in text
    assert list(path.parent.iterdir()) == [path]


def test_a_bench_on_one_core_takes_the_time_of_the_processor(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that sleeps has no time of its own; the clock would show 20 ms."""
    (tmp_path / "calm_bench.py").write_text(
        TINY_BENCH.replace("square, PEERS, {", "lambda case: rest, PEERS, on_one_core=True, cases={")
        + "\ndef rest():\n    import time\n    time.sleep(0.02)\n    return {}\n"
    )
    monkeypatch.setitem(BENCHES, "calm", "calm_bench")
    monkeypatch.setattr(compare, "TURN_SECONDS", 1e-9)
    output = io.StringIO()
    (row,) = run("calm", cases=["4"], console=Console(file=output, width=200))
    assert 0 < row.ours_ms < 10 < row.first_call_ms
    assert "squares; 1 thread, processor time." in output.getvalue()


def test_a_worker_that_takes_too_long_is_ended(tiny: str) -> None:
    worker = Worker(BENCHES[tiny], "good", "3", threads=1)
    with worker, pytest.raises(WorkerError, match="takes longer than 0 s"):
        worker.ask("first", limit=0.01)  # no Python starts so fast


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("speed", {}, r"Argument `name` must be one of simulator \| .*, but is 'speed'"),
        ("tiny", {"cases": ["5"]}, r"Argument `cases` must be one of 4 \| 3, but is '5'"),
        ("tiny", {"peers": ["good", "cirq"]}, r"Argument `peers` must be one of good \| .*, but is 'cirq'"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_names_that_exist(
    tiny: str, name: str, choice: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(name, **choice)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": np.array(1.0002)}, "must compute the same `loss`"),
        ({"loss": np.array(np.nan)}, "must compute the same `loss`"),
        ({"loss": np.ones(2)}, "of shape"),
        ({"cost": np.array(1.0)}, r"must compute \['loss'\]"),
    ],
)
def test_results_are_compared_by_name_shape_and_value(values: dict[str, np.ndarray], message: str) -> None:
    reference = {"loss": np.array(1.0)}
    assert compare.compare_values(reference, {"loss": np.array(1.00005)}, "Peer x") == pytest.approx(5e-5)
    with pytest.raises(compare.ResultMismatchError, match=message):
        compare.compare_values(reference, values, "Peer x")


@pytest.mark.parametrize("name", list(BENCHES))
def test_every_case_names_peers_that_the_bench_has(name: str) -> None:
    bench = load(BENCHES[name])
    for case in bench.cases.values():
        assert set(case.peers) | set(case.left_out) <= set(bench.peers)
        assert not set(case.peers) & set(case.left_out)


@pytest.mark.filterwarnings("ignore")  # of the peers, about themselves
@pytest.mark.parametrize(
    ("module", "peer"),
    [
        *((simulator, peer) for peer in ("default.qubit", "lightning.qubit", "pyqtorch", "qiskit")),
        *((backends, peer) for peer in ("qiskit-machine-learning", "lightning.qubit", "default.qubit")),
        *((qnn, peer) for peer in ("default.qubit", "lightning.qubit", "jax.jit", "qiskit")),
    ],
)
def test_a_peer_computes_what_ours_does(module: object, peer: str) -> None:
    bench: Bench = module.BENCH
    for needed in bench.peers[peer].modules:
        pytest.importorskip(needed)
    expected, values = bench.ours("3,4")(), bench.peers[peer].prepare("3,4")()
    assert float(np.abs(expected["gradient"].numpy()).max()) > 0.01  # else the comparison says nothing
    compare.compare_values(
        {name: np.array(value) for name, value in expected.items()},
        {name: np.array(value) for name, value in values.items()},
        peer,
    )


@pytest.mark.filterwarnings("ignore")
def test_micro_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pennylane = pytest.importorskip("qml.bench.peers.pennylane")
    whole = pennylane.backprop(qnn.make_work("3,5"))()
    monkeypatch.setattr(CircuitWork, "micro_batch", lambda *_: 2)
    parts = pennylane.backprop(qnn.make_work("3,5"))()
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)  # float32 sums in another order


def test_a_micro_batch_fits_the_limit_and_is_never_empty() -> None:
    work = simulator.make_work("4,64")
    assert work.micro_batch(1, 10 * 2**4) == 10
    assert work.micro_batch(1, 1) == 1
    assert work.micro_batch(1, 2**40) == 64


def test_traffic_counts_products_and_bytes() -> None:
    left, right = torch.ones(2, 3), torch.ones(3, 5)
    assert measure_traffic(lambda: left @ right) == (2 * 2 * 3 * 5, 4 * (6 + 15 + 10))
    complex_left = left.to(torch.complex64)
    assert measure_traffic(lambda: complex_left @ complex_left.T)[0] == 8 * 2 * 3 * 2
    assert measure_traffic(lambda: left.view(6)) == (0, 0)


def test_the_summary_compares_with_the_fastest_torch_facing_peer() -> None:
    peers = {
        "a": Peer(lambda case: dict, (), "a"),
        "b": Peer(lambda case: dict, (), "b"),
        "jit": Peer(lambda case: dict, (), "jit", torch_facing=False),
    }
    bench = Bench("", lambda case: dict, peers, {"1": Case(tuple(peers))})
    rows = [
        a_row("1", "a", 1.0, 8.0),
        a_row("1", "b", 1.0, 2.0),
        a_row("1", "jit", 1.0, 1.0),
        a_row("2", "a", 1.0, 8.0),
        a_row("3", None, 1.0, None),
    ]
    assert summary(bench, rows) == [
        "Against the fastest torch-facing peer: its time is 4 times ours (geometric mean of 2 cases), "
        "at least 2 times (case 1, b).",
        "Against jit: its time is 1 times ours (geometric mean of 1 cases), at least 1 times (case 1, jit).",
    ]


def test_a_line_has_the_columns_of_its_header() -> None:
    beside, alone = a_row("8,512", "lightning.qubit", 1.25, 12345.6), a_row("785,64", None, 3.0, None)
    assert len(line(beside)) == len(line(alone)) == len(header())
    assert line(beside).split() == ["8,512", "lightning.qubit", "1.25", "12346", "9876x", "1.25", *"-----"]


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("old")
    write_json([a_row("1", "a", 1.0, 2.0)], path)
    assert json.loads(path.read_text())[0]["peer"] == "a"
    assert list(tmp_path.iterdir()) == [path]


def test_every_circuit_peer_has_an_installation_name() -> None:
    assert all(peer.install and peer.modules for peer in circuit_peers(simulator.make_work).values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", ["qkan exact", "qkan cutn"])
@pytest.mark.parametrize("case", ["3,2,20", "infer 3,2,20", "fixed 3,2,20"])
def test_the_qkan_package_computes_what_our_layer_does(peer: str, case: str) -> None:
    for needed in qkan.BENCH.peers[peer].modules:
        pytest.importorskip(needed)
    expected, values = qkan.BENCH.ours(case)(), qkan.BENCH.peers[peer].prepare(case)()
    difference = compare.compare_values(
        {name: value.numpy() for name, value in expected.items()},
        {name: value.numpy() for name, value in values.items()},
        peer,
    )
    assert difference <= compare.TOLERANCE


@pytest.mark.parametrize("kind", ["fixed", "trained"])
def test_the_lstm_cases_train_layers_of_the_same_sizes(kind: str) -> None:
    for prepare in (qkan.BENCH.ours, qkan.BENCH.peers["nn.LSTM"].prepare):
        step = prepare(f"lstm {kind} 3,4,5")
        assert 0 < step()["loss"] < 1  # outputs of an LSTM lie in (-1, 1)


# A step that makes 40 MB beside the same of the step before, and then 80 MB more, which is its peak beyond what stays.
# Arrays beyond 32 MB are mapped apart by the C library, so that what is freed is back with the system at once, unless a
# library loaded before has said otherwise: so the program runs by itself, as a worker's does.
MEMORY_PROGRAM = """
import numpy as np
from qml.bench.catalogue import BENCHES
from qml.bench.servant import Servant
from qml.bench.worker import OURS

servant, kept = Servant(BENCHES["qkan"], OURS, "3,2,20"), []

def step():
    kept[:] = [np.ones(5 * 10**6)]
    return {"sum": np.ones(10**7).sum(keepdims=True)}

servant._step = step
step()
print(servant.memory())
"""


def test_memory_is_what_a_step_takes_beyond_what_stays() -> None:
    answer = subprocess.run([sys.executable, "-c", MEMORY_PROGRAM], check=True, capture_output=True, text=True)
    found = answer.stdout.strip()
    if found == "None":
        pytest.skip("this system does not tell")
    assert float(found) == pytest.approx(80, abs=6)  # a page has up to 2.1 MB


def test_a_peer_of_other_work_is_timed_but_not_compared(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = load(BENCHES[tiny])
    other = replace(bench.peers["wrong"], same_work=False)
    monkeypatch.setitem(bench.peers, "wrong", other)
    plan = compare.BenchPlan(bench, BENCHES[tiny], ["wrong"], 1, Machine(1.0, 1.0, 1.0, 0.0), note=str)
    (row,) = compare.compare_case(plan, "3")
    assert row.max_error is None
    assert row.peer_ms is not None
    assert summary(bench, [row]) == [f"Against wrong: its time is {row.ratio:.3g} times ours (geometric mean of 1 "
        f"cases), at least {row.ratio:.3g} times (case 3, wrong)."]  # fmt: skip


def test_a_peer_that_truncates_is_left_out_where_its_result_is_wrong(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load(BENCHES[tiny])
    monkeypatch.setitem(bench.peers, "wrong", replace(bench.peers["wrong"], truncates=True))
    plan = compare.BenchPlan(bench, BENCHES[tiny], ["wrong"], 1, Machine(1.0, 1.0, 1.0, 0.0), note=str)
    (row,) = compare.compare_case(plan, "3")
    assert row.peer is None
    assert "must compute the same `gradient`" in plan.left_out["3", "wrong"]
    limited = replace(bench, limits=Limits(seconds=120, memory=2**33))
    assert stops(limited, ["3"], ["wrong"], [row], plan.left_out)[2].endswith("wrong by truncation")


LIMITED_BENCH = """
import numpy as np
from qml.bench.bench import Bench, Case, Limits, Peer

def both(case):
    return lambda: {"value": np.float64(2.0), "gradient": np.arange(3.0)}

def greedy(case):
    return lambda: {"value": np.zeros(2**31).sum()}

PEERS = {
    "values": Peer(lambda case: lambda: {"value": np.float64(2.0)}, (), "values", results=("value",)),
    "greedy": Peer(greedy, (), "greedy", results=("value",)),
    "refusing": Peer(lambda case: 1 / 0, (), "refusing"),
}
BENCH = Bench("limits", both, PEERS, {"1": Case(tuple(PEERS))}, limits=Limits(seconds=600, memory=6 * 2**30))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_peer_beyond_its_memory_stops_alone_and_the_table_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limited_bench.py").write_text(LIMITED_BENCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(BENCHES, "limited", "limited_bench")
    monkeypatch.setattr(compare, "TURN_SECONDS", 1e-3)
    output = io.StringIO()
    rows = run("limited", console=Console(file=output, width=200), threads=1)
    assert [(row.peer, row.max_error) for row in rows] == [("values", 0.0)]
    *_, title, header_line, cells = output.getvalue().splitlines()
    assert title.startswith("Where each one stops, at 6 GiB or 600 s")
    assert header_line.split() == ["case", "ours", "values", "greedy", "refusing"]
    assert cells.split()[-4:] == ["out", "of", "memory", "refused"]


def test_the_table_of_stops_tells_times_limits_and_what_is_missing() -> None:
    bench = Bench("x", lambda case: dict, {}, {}, limits=Limits(seconds=120, memory=2**33))
    rows = [replace(a_row("a", "quick", 2.0, 4.0), first_call_ms=1500.0, peer_first_call_ms=30.0)]
    left_out = {("a", "late"): "it takes longer than 120 s", ("a", "absent"): "cirq is not installed, see pip"}
    lines = stops(bench, ["a", "b"], ["quick", "late", "absent"], rows, left_out)
    assert lines[0].startswith("Where each one stops, at 8 GiB or 120 s")
    assert " ".join(lines[2].split()) == "a 1.5 s / 2 ms 30 ms / 4 ms over 120 s not installed"
    assert lines[3].split() == ["b", "-", "-", "-", "-"]


def test_a_process_that_dies_leaves_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TINY_BENCH.replace("os._exit(3)", "os.write(2, b'first\\nno room left\\n'); os._exit(4)")
    (tmp_path / "dying_bench.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    worker = Worker("dying_bench", "dying", "3", threads=1)
    with worker, pytest.raises(WorkerError, match=r"ended with code 4 \(no room left\)"):
        worker.ask("first", limit=60.0)


@pytest.mark.filterwarnings("ignore")  # of the peers
@pytest.mark.parametrize(("peer", "modules"), [(name, peer.modules) for name, peer in wide.PEERS.items()])
def test_wide_peers_compute_what_ours_does(
    peer: str, modules: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in modules:
        pytest.importorskip(module)
    small = wide.WideWork(wide.chain(6, 2), (((2, "Z"),), ((1, "X"), (3, "Y"))))
    monkeypatch.setitem(wide.CASES, "chain-6", lambda: small)
    expected = {name: value.numpy() for name, value in wide.ours("chain-6")().items()}
    found = {name: np.array(value) for name, value in wide.PEERS[peer].prepare("chain-6")().items()}
    reference = {name: expected[name] for name in wide.PEERS[peer].results or expected}
    assert compare.compare_values(reference, found, peer) < 1e-6


def test_constant_angles_are_written_for_peers_as_clifford_gates_or_refused() -> None:
    names = [gate.name for gate in pauli_strings.clifford_form(wide.utility(1))]
    assert names.count("sdg") == 2 * names.count("cz") == 288
    with pytest.raises(ValueError, match="constant angle must be RZZ"):
        list(pauli_strings.clifford_form(Circuit(2).rx(0.3, 0)))
