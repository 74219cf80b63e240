"""Every layer has every habit of torch's own, or says why not."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import nn

from qml.baselines import EchoStateNetwork
from qml.nn import FeedbackRing, OnionReservoir, PersistentRing, QRNNCell
from tests.conformance import EXCEPTIONS, HABITS, IN_OWN_PROCESS, IN_PROCESS, LAYERS
from tools.conformance_table import PAGE, conformance_table, with_table

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("habit", IN_PROCESS)
@pytest.mark.parametrize("layer", LAYERS)
def test_layer_has_the_habit(layer: str, habit: str) -> None:
    if (layer, habit) in EXCEPTIONS:
        with pytest.raises(Exception, match=r"."):  # each layer refuses in its own words
            IN_PROCESS[habit](LAYERS[layer])
    else:
        IN_PROCESS[habit](LAYERS[layer])


@pytest.mark.parametrize(
    "habit",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("compile", "export", "make_fx") else ())
        for name in IN_OWN_PROCESS
    ],
)
def test_all_layers_have_the_habit(habit: str) -> None:
    found = distributed_verdicts() if habit == "DDP" else verdicts_of(habit)
    for layer, problem in found.items():
        assert bool(problem) == ((layer, habit) in EXCEPTIONS), f"{layer}: {problem}"
    assert set(found) == set(LAYERS)


RESERVOIRS: dict[str, Callable[[], nn.Module]] = {
    "rings that feed back": lambda: OnionReservoir([FeedbackRing(2)], 1),
    "rings that persist": lambda: OnionReservoir([PersistentRing(2)], 1),
    "echo state network": lambda: EchoStateNetwork(1, 50, dtype=torch.float64),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", [*LAYERS, "QRNNCell", *RESERVOIRS])
def test_torchscript_is_refused_in_words(name: str) -> None:
    """A trace would keep drawn outcomes, and the number of steps of its example."""
    if name in RESERVOIRS:
        layer, inputs = RESERVOIRS[name](), torch.zeros(2, 5, 1, dtype=torch.float64)
    elif name == "QRNNCell":
        layer, inputs = QRNNCell(1, 2), torch.tensor([0, 1])
    else:
        layer, inputs = LAYERS[name].layer(), LAYERS[name].batch()
    with pytest.raises(TypeError, match=r"must be exported by torch\.export.*torch\.jit\.trace"):
        torch.jit.trace(layer, (inputs,), check_trace=False)
    with pytest.raises(TypeError, match=r"must be exported by torch\.export.*torch\.jit\.script"):
        torch.jit.script(layer)


def test_every_exception_is_of_a_layer_and_a_habit_that_exist() -> None:
    assert all(layer in LAYERS and habit in HABITS for layer, habit in EXCEPTIONS)


def test_the_table_of_the_docs_is_this_one() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text, conformance_table()), "Run make conformance, which writes it."
    with pytest.raises(ValueError, match="must have a line that begins with"):
        with_table("no table", conformance_table())


def verdicts_of(habit: str) -> dict[str, str]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.conformance", habit], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


@lru_cache(1)
def distributed_verdicts() -> dict[str, str]:
    """What two processes with gloo say; the worse of the two for each layer."""
    code = (
        "import gc, json, sys, torch\n"
        "from tests.conformance import verdicts\n"
        "torch.distributed.init_process_group('gloo')\n"
        "sys.stdout.write(json.dumps(verdicts('DDP')))\n"
        "gc.collect()\n"  # what is left of the wrapped layers has threads, which must end before the group does
        "torch.distributed.barrier()\n"
        "torch.distributed.destroy_process_group()\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert all(process.returncode == 0 for process in processes), [error[-1500:] for _, error in outputs]
    first, second = (json.loads(output) for output, _ in outputs)
    return {layer: first[layer] or second[layer] for layer in first}
