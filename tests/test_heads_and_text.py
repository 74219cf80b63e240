"""`qml compare heads` and `qml compare text` on pieces small enough for a test."""

from dataclasses import replace

import pytest
import torch

from qml.baselines import count_parameters
from qml.compare import Preset
from qml.compare.language import CONTEXT, CharacterModel, MLPBlock, bigram_loss, windows_of
from qml.compare.tasks import heads, text
from qml.data import Text, python_text


@pytest.fixture(scope="module")
def images() -> heads.ImageSplit:
    whole = heads.split(heads.prepare({}), 0)
    parts = [
        heads.LabelledImages(part.inputs[::10], part.labels[::10])
        for part in (whole.train, whole.validation, whole.test)
    ]
    return heads.ImageSplit(*parts)


def test_the_parts_of_the_images_are_apart_and_even() -> None:
    data = heads.prepare({})
    split = heads.split(data, 3)
    parts = (split.train, split.validation, split.test)
    assert [len(part.labels) for part in parts] == [3000, 1000, 1000]
    assert all((part.labels.bincount() == len(part.labels) // 10).all() for part in parts)
    rows = torch.cat([part.inputs.flatten(1) for part in parts])
    torch.testing.assert_close(rows.sum(0), data.inputs.flatten(1).sum(0), rtol=1e-4, atol=1e-2)  # float32 sums
    assert not torch.equal(heads.split(data, 4).test.inputs, split.test.inputs)


def test_the_heads_have_the_same_size_and_the_same_convolutions() -> None:
    built = [torch.nn.Sequential(heads.trunk(g), head(g)) for head in (heads._qkan, heads._mlp) for g in [_seeded()]]
    assert count_parameters(built[0][0]) == 1084  # the paper's network: 1884 with its QKAN of 800
    assert count_parameters(built[0][1]) == 700
    assert abs(count_parameters(built[1][1]) / 700 - 1) < 0.01
    for first, second in zip(built[0][0].parameters(), built[1][0].parameters(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["qkan", "mlp", "linear"])
def test_a_head_learns_and_looks_at_the_test_part_once(name: str, images: heads.ImageSplit) -> None:
    turned = replace(images, test=heads.LabelledImages(images.test.inputs, 9 - images.test.labels))
    model = heads.models({})[name]
    first, second = (model.train(part, 0, Preset(1, 1, 3), _silent) for part in (images, turned))
    assert first.details["curves"] == second.details["curves"]
    assert first.value + second.value <= 1.0  # no digit is its own mirror image
    assert first.details["curves"]["train_loss"][-1] < first.details["curves"]["train_loss"][0]


def test_the_text_is_python_s_own_and_decodes() -> None:
    found = python_text(3000)
    assert found.codes.shape == (3000,)
    assert found.decode(found.codes).isascii()
    assert Text.of("banana").codes.tolist() == [1, 0, 2, 0, 2, 0]
    assert Text.of("banana").decode(torch.tensor([1, 2])) == "bn"
    with pytest.raises(ValueError, match="`n_characters` must be in 1 to"):
        python_text(0)
    with pytest.raises(ValueError, match="but is 100000000"):
        python_text(10**8)


def test_windows_meet_at_their_ends() -> None:
    windows = windows_of(torch.arange(3 * CONTEXT + 1))
    assert windows.shape == (3, CONTEXT + 1)
    assert windows[1, 0] == windows[0, -1] == CONTEXT


def test_pairs_are_counted_once_more_than_they_occur() -> None:
    loss = bigram_loss(torch.tensor([0, 1, 0, 1, 1]), torch.tensor([0, 1, 1]), 2)
    # after 0: 1 twice, so 3/4 for 1; after 1: 0 once and 1 once, so 1/2
    assert loss == pytest.approx(-(torch.tensor([0.75, 0.5]).log().mean().item()))


def test_a_character_sees_only_what_came_before_it() -> None:
    model = CharacterModel(5, lambda g: MLPBlock(4, g), _seeded())
    codes = torch.tensor([[0, 1, 2, 3, 4]])
    other = torch.tensor([[0, 1, 2, 0, 0]])
    first, second = model(codes), model(other)
    torch.testing.assert_close(first[:, :3], second[:, :3])
    assert not torch.allclose(first[:, 3], second[:, 3])


def test_the_small_mlp_has_an_hqkan_block_s_parameters() -> None:
    hqkan, mlp = count_parameters(text._hqkan(_seeded())), count_parameters(MLPBlock(text.SMALL_HIDDEN, _seeded()))
    assert abs(mlp / hqkan - 1) < 0.02


@pytest.mark.parametrize("name", ["hqkan", "mlp-small", "attention"])
def test_a_model_learns_characters_of_a_short_text(name: str) -> None:
    short = python_text(12_000)
    split = text.split(short, 0)
    outcome = text.models({})[name].train(split, 0, Preset(1, 1, 2), _silent)
    uniform = torch.tensor(float(len(short.alphabet))).log().item()
    assert outcome.value < uniform
    curve = outcome.details["curves"]["train_loss"]
    assert curve[-1] < curve[0]


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _silent(share: float, text: str) -> None:
    """Hear of progress and say nothing."""
