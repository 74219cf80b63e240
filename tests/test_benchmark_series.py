"""NARMA-10 and Mackey-Glass as comparisons: what is asked, and that every model answers it."""

from typing import Any

import pytest
import torch

from qml.compare.task import Preset, Record
from qml.compare.tasks import benchmark_series as task
from qml.data import mackey_glass, narma10

SMALL = {"washout": 30, "train": 200, "validation": 60, "test": 60}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a tenth of the length."""
    monkeypatch.setattr(task, "PARTS", SMALL)
    monkeypatch.setattr(task, "UNITS", 60)


def test_targets_are_what_follows() -> None:
    whole = task.prepare_mackey_glass({})
    series = task.split_mackey_glass(whole, 2)
    raw = mackey_glass(len(whole))
    assert torch.equal(series.targets[:5], raw[2 * task.OFFSET + 84 : 2 * task.OFFSET + 89])
    train = series.part(series.inputs, "train")
    assert train.shape == (200, 1)
    assert float(train.mean()) == pytest.approx(0.0, abs=1e-12)
    narma = task.split_narma(None, 3)
    assert torch.equal(narma.targets, narma10(350, seed=3)[1])
    assert not torch.equal(narma.targets, task.split_narma(None, 4).targets)


def test_a_series_that_diverges_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def draw(n_steps: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(seed)
        if len(asked) < 3:
            raise ValueError("diverges")
        return narma10(n_steps, seed=seed)

    monkeypatch.setattr(task, "narma10", draw)
    task.split_narma(None, 5)
    assert asked == [5, 1005, 2005]


def test_the_error_is_that_of_knowing_the_mean_at_1() -> None:
    series = task.split_narma(None, 0)
    mean = series.part(series.targets, "test").mean().expand_as(series.targets)
    assert task.nrmse(series, mean, "test") == pytest.approx(1.0)
    assert task.nrmse(series, series.targets, "validation") == 0.0


@pytest.mark.parametrize("chosen", [task.NARMA, task.MACKEY_GLASS])
def test_every_model_learns_and_is_shown(chosen: Any) -> None:
    data = chosen.prepare({})
    series, records = chosen.split(data, 0), []
    for name, model in chosen.models({}).items():
        if name == "reservoirpy":
            pytest.importorskip("reservoirpy")
        if name != "qrc":  # nine qubits take their time
            outcome = model.train(series, 0, Preset(1, 2, 1), lambda share, words: None)
            assert outcome.value < 1.2, name
            assert outcome.extras["n_settings"] == 2
            records.append(Record(chosen.name, name, 0, "nrmse", outcome))
    values = {record.model: record.outcome.value for record in records}
    assert values["esn"] < 0.8
    (section,) = chosen.sections(data, records, {})
    assert section.figure is not None
    assert len(section.figure.axes[0].get_lines()) == len(records) + 2  # the truth, and where the test begins
