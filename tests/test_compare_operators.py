"""The comparison of operators on pieces small enough for a test."""

import numpy as np
import pytest

from qml.compare import Preset, find_task
from qml.compare.tasks import operators


@pytest.mark.parametrize("name", ["circuit-trunk", "qkan-trunk", "qkan-branch", "mlp", "one-mlp"])
def test_every_operator_network_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "N_TRAIN", 6)
    monkeypatch.setattr(operators, "N_TEST", 4)
    monkeypatch.setattr(operators, "N_CELLS", 16)
    monkeypatch.setattr(operators, "N_PLACES", 5)
    task = find_task("operators")
    split = task.split(task.prepare({}), 0)
    model = task.models({})[name]
    first, last = (model.train(split, 0, Preset(1, 1, steps), lambda share, text: None) for steps in (1, 30))
    assert np.isfinite(last.value)
    assert last.extras["train_loss"] < first.extras["train_loss"]  # pyright: ignore[reportOperatorIssue]
    assert last.n_parameters == first.n_parameters


def test_all_models_are_judged_on_sources_that_none_is_trained_on() -> None:
    task = find_task("operators")
    train, test = task.split(task.prepare({}), 0)
    assert not (train.functions[:, None] == test.functions[None]).all(-1).any()
    assert task.split(test, 1)[1] is test
