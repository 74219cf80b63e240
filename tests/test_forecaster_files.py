"""Forecasters and training runs in files that may come from anyone."""

import json
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from circuits import channels
from qml.baselines import EchoStateNetwork, OnionESN
from qml.files import as_path, parse_json, parse_safetensors
from qml.nn import FeedbackRing, OnionReservoir, PersistentRing, QuantumReservoir
from qml.pinn.training._checkpoint_fit import require_fit, restore
from qml.pinn.training.checkpoint import load_checkpoint
from qml.reservoir import Forecaster, HybridReservoir, load, save
from tests.test_checkpoint import mutated_header

WAVE = torch.sin(torch.arange(40, dtype=torch.float64) / 5)[:, None]
MODELS: dict[str, Callable[[], Forecaster]] = {
    "network": lambda: Forecaster(EchoStateNetwork(1, 12, seed=1), washout=3, warm_up=1).fit(WAVE),
    "online": lambda: Forecaster(EchoStateNetwork(1, 12, seed=1)).learn_online(),
    "onion network": lambda: Forecaster(OnionESN(1, [5, 5], [0.0, 0.5, 0.9])).fit(WAVE),
    "hybrid": lambda: Forecaster(
        HybridReservoir(
            EchoStateNetwork(1, 8, density=0.5, include_inputs=True),
            OnionReservoir([PersistentRing(3, 2), FeedbackRing(2)], noise=channels.bit_flip(0.1)),
        )
    ).fit(WAVE),
    "shots": lambda: Forecaster(OnionReservoir([PersistentRing(3, 2)], readout_error=(0.1, 0.2), shots=20)).fit(WAVE),
    "trajectories": lambda: Forecaster(QuantumReservoir(PersistentRing(3, 2), trajectories=3)).fit(WAVE),
}


def written(model: Forecaster, path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> Path:
    """A file of the model with its description and tensors changed."""
    save(model, path)
    content = path.read_bytes()
    metadata, _ = parse_safetensors(content, "the file")
    description, tensors = json.loads(metadata["description"]), load_tensors(content)
    change(description, tensors)
    path.write_bytes(save_tensors(tensors, metadata | {"description": json.dumps(description)}))
    return path


def setter(*way: Any, to: Any) -> Callable[[dict[str, Any], dict[str, Tensor]], None]:
    def change(description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        inner: Any = description
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = to

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("network", setter("reservoir", "units", to=10**9), "input_weight` must have shape"),
        ("network", setter("reservoir", "n_inputs", to=10**9), "input_weight` must have shape"),
        ("network", setter("reservoir", "n_entries", to=10**9), "columns` must have shape"),
        ("network", setter("reservoir", "class", to=[]), "must describe one of"),
        ("network", setter("reservoir", "class", to="Linear"), "must describe one of"),
        ("network", setter("reservoir", "dtype", to="float16"), "`dtype` must be one of 'float32', 'float64'"),
        ("network", setter("reservoir", "dtype", to="load"), "`dtype` must be one of"),
        ("network", setter("reservoir", "start", to="x"), "`start` must be a number"),
        ("network", setter("forecaster", "n_outputs", to=10**9), "readout.weight` must have shape"),
        ("network", setter("forecaster", "alphas", to=[0.1] * 3), "as many penalties"),
        ("network", setter("forecaster", "alphas", to="x"), "alphas"),
        ("network", setter("forecaster", "colour", to="red"), "colour"),
        ("network", setter("forecaster", "online", to={}), "learns online where it has a covariance"),
        ("online", setter("forecaster", "online", to={"alpha": -1.0}), "`alpha` must be above 0"),
        ("online", setter("forecaster", "online", to=5), "cannot be made into a forecaster"),
        ("hybrid", setter("reservoir", "reservoirs", to=5), "`reservoirs` must be a list"),
        ("shots", setter("reservoir", "rings", 0, "n_qubits", to=10**9), "at most 28 qubits"),
        ("shots", setter("reservoir", "rings", 0, "n_qubits", to=15), "tables must hold at most"),
        ("shots", setter("reservoir", "rings", 0, "n_layers", to=10**9), "at most 28 qubits and 4096 layers"),
        ("shots", setter("reservoir", "rings", 0, "n_measured", to=1), "readout.weight` must have shape"),
        ("shots", setter("reservoir", "rings", 0, "n_rounds", to=10**9), "readout.weight` must have shape"),
        ("shots", setter("reservoir", "backend", to="ibm"), "`backend` must not be in a file"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused_before_anything_is_built(
    tmp_path: Path, name: str, change: Any, message: str
) -> None:
    path = written(MODELS[name](), tmp_path / "model", change)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("readout.weight", torch.full((1, 12), torch.nan), "must be finite"),
        ("readout.weight", torch.zeros(1, 12, dtype=torch.int64), "must be torch.float64, but is torch.int64"),
        ("readout.weight", torch.zeros(1, 12, dtype=torch.complex64), "must hold real tensors"),
        ("readout.weight", torch.zeros(12), "readout.weight` must have shape"),
        ("readout.bias", torch.zeros(2), "size mismatch"),
        ("reservoir.columns", torch.full((22,), 99, dtype=torch.int32), "columns` must have shape|compressed rows"),
        ("reservoir.row_starts", torch.zeros(13), "row_starts` must be torch.int32|compressed rows"),
        ("more", torch.zeros(1), "Unexpected key"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, key: str, value: Tensor, message: str) -> None:
    path = written(MODELS["network"](), tmp_path / "model", lambda _, tensors: tensors.update({key: value}))
    with pytest.raises(ValueError, match=message):
        load(path)


@pytest.mark.parametrize("name", MODELS)
def test_a_mutated_file_is_a_forecaster_or_a_value_error(tmp_path: Path, name: str) -> None:
    path, draw = tmp_path / "model", random.Random(name)
    save(MODELS[name](), path)
    content, messages = path.read_bytes(), list[str]()
    for _ in range(40):
        path.write_bytes(mutated_header(content, draw, "description"))
        try:
            load(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 8
    assert all("must" in message for message in messages)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = MODELS["network"]()
    model.readout.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"must be finite to be saved, but `readout.weight`"):
        save(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 50, struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 2) + b"{}x"],
)
def test_what_is_no_safetensors_file_is_refused_everywhere(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(content)
    for read in (load, load_checkpoint):
        with pytest.raises(ValueError, match="must"):
            read(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000, '{"a": 1, "a": 2}', "NaN", "[Infinity]", "", "{"])
def test_json_from_anyone_is_strict(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words
        parse_json(text)


def test_paths_are_text_or_paths() -> None:
    assert as_path("a") == as_path(Path("a")) == Path("a")
    with pytest.raises(TypeError, match=r"`path` must be a str or a pathlib.Path, but is bytes"):
        as_path(b"a")


# --- training runs ----------------------------------------------------------------------------------------------------

PROGRESS = {"step": 3, "seconds": 1.0, "history": {"loss": [1.0]}, "weights": {"a": 1.0}, "epsilon_index": 0}
GOOD = {"format": 1, "settings": {}, "progress": PROGRESS, "optimizer": {"items": []}}


def run_file(path: Path, header: Any, **tensors: Tensor) -> Path:
    path.write_bytes(save_tensors({"points": torch.rand(4, 2)} | tensors, {"qml.pinn": json.dumps(header)}))
    return path


def test_a_run_in_a_file_is_read(tmp_path: Path) -> None:
    found = load_checkpoint(run_file(tmp_path / "run.safetensors", GOOD))
    assert found.progress["step"] == 3
    assert found.points.shape == (4, 2)


@pytest.mark.parametrize(
    "header",
    [
        [],
        5,
        {},
        GOOD | {"format": 2},
        GOOD | {"format": True},
        GOOD | {"settings": []},
        GOOD | {"progress": None},
        GOOD | {"optimizer": []},
        GOOD | {"optimizer": {"tensor": "nowhere"}},
        GOOD | {"optimizer": {"items": 5}},
        GOOD | {"optimizer": {"items": [[[], 1]]}},
        GOOD | {"optimizer": {"items": [["param_groups", []]]}},
        GOOD | {"progress": {}},
        GOOD | {"progress": PROGRESS | {"step": -1}},
        GOOD | {"progress": PROGRESS | {"step": True}},
        GOOD | {"progress": PROGRESS | {"step": 1.5}},
        GOOD | {"progress": PROGRESS | {"seconds": "1"}},
        GOOD | {"progress": PROGRESS | {"history": {"loss": 5}}},
        GOOD | {"progress": PROGRESS | {"history": {"loss": ["x"]}}},
        GOOD | {"progress": PROGRESS | {"weights": {"a": None}}},
    ],
    ids=str,
)
def test_runs_of_another_form_are_refused(tmp_path: Path, header: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        load_checkpoint(run_file(tmp_path / "run.safetensors", header))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "must hold `model.w` as torch.float32 of shape .* but holds none"),
        ({"model.w": torch.zeros(3)}, r"must hold `model.w` as .*\(2,\), but holds .*\(3,\)"),
        ({"model.w": torch.zeros(2).double()}, "must hold `model.w` as torch.float32"),
        ({"model.w": torch.zeros(2), "model.v": torch.zeros(2)}, "must hold `model.v` as none"),
        ({"model.w": torch.tensor([0.0, torch.nan])}, "must be finite, but `model.w`"),
        ({"model.w": torch.zeros(2), "points": torch.rand(4, 3)}, "must hold `points`"),
        ({"model.w": torch.zeros(2), "points": torch.rand(4)}, "must hold `points`"),
        ({"model.w": torch.zeros(2), "points": torch.rand(0, 2)}, "must hold `points`"),
        ({"model.w": torch.zeros(2), "point_weights": torch.rand(3)}, "must hold `point_weights`"),
    ],
)
def test_tensors_of_another_run_are_refused(tmp_path: Path, tensors: dict[str, Tensor], message: str) -> None:
    path = tmp_path / "run.safetensors"
    found = load_checkpoint(run_file(path, GOOD, **tensors))
    with pytest.raises(ValueError, match=message):
        require_fit(found, {"w": torch.ones(2)}, torch.rand(7, 2), path)


def test_the_state_of_an_optimiser_is_that_of_its_parameters() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    weight.square().sum().backward()
    optimizer.step()
    good = optimizer.state_dict()
    restore(torch.optim.Adam([weight]), good, [weight])
    moments = good["state"][0]
    for state in (
        good | {"state": {0: moments | {"exp_avg": torch.ones(5)}}},
        good | {"state": {0: moments | {"exp_avg": torch.full((3,), torch.nan)}}},
        good | {"param_groups": []},
        {"state": good["state"]},
    ):
        with pytest.raises(ValueError, match=r"A checkpoint must hold the .*state"):
            restore(torch.optim.Adam([weight]), state, [weight])
