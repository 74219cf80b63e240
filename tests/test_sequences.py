"""Sequences of words: what they hold, the classical models on them, and the comparison's own code."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from qml.baselines import WordRNN, count_parameters, word_hidden_size_for
from qml.compare import make_plan, run_plan, write_report
from qml.compare.task import Outcome, Preset, Record
from qml.compare.tasks.sequence_digits import NETWORKS, SEQUENCE_DIGITS, SequenceSplit, accuracies
from qml.compare.tasks.sequence_digits import prepare as prepare_digits
from qml.compare.tasks.sequence_digits import split as digits_split
from qml.compare.tasks.sequences import SEQUENCES, WORD_SEQUENCES, slowed
from qml.compare.tasks.sequences_figures import digit_shares
from qml.compare.word_curriculum import Goal, Lengthening
from qml.compare.word_models import ClassicalWords, QuantumWords, WordModel
from qml.compare.word_training import SoapSetting, thinned, train_words
from qml.data import WordBatch, bit_planes, dna, elman_letters, elman_xor, label_last, pixel_words, sentences
from qml.data.sequences import LETTERS, MARK_WORD
from qml.nn import QRNN


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_answers_come_from_averaged_weights() -> None:
    model, seen = QuantumWords(QRNN(2, 2, batch_first=True, generator=seeded())), []

    def watch(number: int, answering: WordModel) -> None:
        assert answering is not model
        seen.append(model.layer.cell.vector().detach())

    setting = SoapSetting(0.01, averaging=0.75)
    run = train_words(
        model, elman_xor, setting, n_batches=6, goal=Goal(), generator=seeded(), on_step=lambda *_: None, watch=watch
    )
    assert isinstance(run.answering, QuantumWords)
    weights = [*seen[1:], model.layer.cell.vector().detach()]  # after each step
    mean = weights[0]
    for vector in weights[1:]:
        mean = 0.75 * mean + 0.25 * vector
    torch.testing.assert_close(run.answering.layer.cell.vector().detach(), mean, atol=1e-6, rtol=0)
    assert not torch.allclose(weights[-1], mean, atol=1e-4)
    with pytest.raises(ValueError, match=r"`averaging` must be in \[0, 1\)"):
        SoapSetting(0.01, averaging=1.0)


def test_every_third_bit_is_the_xor_of_the_two_before_it() -> None:
    batch = elman_xor(seeded(), batch=5)
    assert batch.inputs.shape == (5, 35)
    bits, free = batch.inputs >> 1, batch.inputs & 1
    assert free[0, :6].tolist() == [1, 1, 0, 1, 1, 0]
    for third in range(2, 35, 3):
        assert torch.equal(bits[:, third - 2] ^ bits[:, third - 1], batch.targets[:, third - 1])
        assert torch.equal(bits[:, third], batch.targets[:, third - 1])
    assert torch.equal(torch.nonzero(batch.counted[0]).flatten(), torch.arange(1, 35, 3))
    assert bool((batch.scored[:, 0] == -1).all())


def test_letters_follow_their_consonants() -> None:
    batch = elman_letters(seeded(1), batch=3, length=20)
    names = {word: letter for letter, word in LETTERS.items()}
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        text = "".join(names[word] for word in inputs)
        for start, syllable in (("b", "ba"), ("d", "dii"), ("g", "guuu")):
            for place in (k for k, letter in enumerate(text[:-4]) if letter == start):
                assert text[place : place + len(syllable)] == syllable
        for target, following in zip(targets, text[1:], strict=False):
            assert target == (7 if following in "bdg" else LETTERS[following])
    assert bool(batch.counted.all())


def test_dna_asks_for_the_base_behind_the_mark() -> None:
    batch = dna(seeded(2), batch=50, length=11)
    marks = batch.inputs == MARK_WORD
    places = marks.long().argmax(1)
    assert bool((marks.sum(1) == 1).all())
    assert int(places.max()) < 5
    assert torch.equal(batch.targets[:, -1], batch.inputs[torch.arange(50), places + 1])
    expected = marks.clone()
    expected[:, -1] = True
    assert torch.equal(batch.counted, expected)
    assert bool((batch.targets[marks] == MARK_WORD).all())
    with pytest.raises(ValueError, match="`length` must be at least 4"):
        dna(seeded(), length=3)


def test_the_two_sentences_are_the_published_ones() -> None:
    batch = sentences(seeded())
    assert batch.inputs[0].tolist() == [4] * 19
    assert batch.inputs[1, :5].tolist() == [0, 1, 2, 3, 0]
    assert all(target == following for target, following in zip(batch.targets[1], batch.inputs[1, 1:], strict=False))


def test_pixels_become_words_by_rows_and_by_columns() -> None:
    image = torch.zeros(1, 28, 28)
    image[0, :14, 14:] = 1.0  # the upper right quarter
    assert pixel_words(image.flatten(1), side=2).tolist() == [[0, 2, 1, 0]]


def test_bit_planes_put_the_first_feature_and_the_highest_bit_first() -> None:
    features = torch.tensor([[0.0, 1.0], [0.49, -3.0], [0.76, 9.0]])
    words = bit_planes(features, torch.zeros(2), torch.ones(2), n_bits=2)
    assert words.tolist() == [[1, 1], [0, 2], [3, 3]]
    asked = label_last(words, torch.tensor([0, 1, 0]))
    assert asked.targets.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert asked.scored.tolist() == [[-1, 0], [-1, 1], [-1, 0]]


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_classical_twins_have_the_size_that_is_asked_for(kind: str) -> None:
    hidden = word_hidden_size_for(837, kind, 3)
    counts = [count_parameters(WordRNN(kind, 3, size)) for size in (hidden - 1, hidden, hidden + 1)]
    assert min(counts, key=lambda count: abs(count - 837)) == counts[1]
    assert WordRNN(kind, 3, 4)(torch.tensor([[0, 5, 7]])).shape == (1, 3, 8)
    before = torch.random.get_rng_state()
    WordRNN(kind, 3, 4, generator=seeded())
    assert torch.equal(before, torch.random.get_rng_state())
    with pytest.raises(ValueError, match="`hidden_size` must be at least 1"):
        WordRNN(kind, 3, 0)


@pytest.mark.parametrize(
    "model",
    [
        QuantumWords(QRNN(3, 3, batch_first=True, generator=seeded())),
        ClassicalWords(WordRNN("lstm", 3, 4, generator=seeded())),
        ClassicalWords(WordRNN("rnn", 3, 4, generator=seeded())),
    ],
)
def test_gradient_norms_are_those_of_the_loss_in_the_states(model: QuantumWords | ClassicalWords) -> None:
    batch = dna(seeded(), batch=6, length=8)
    norms = model.gradient_norms(batch)
    assert len(norms) == 7
    assert all(norm > 0.0 for norm in norms)
    # the same total gradient comes out of the steps one by one as out of the whole layer
    parameters = [parameter for parameter in model.parameters() if parameter.numel()]
    loss = model.loss(batch)[0]
    assert all(part.isfinite().all() for part in torch.autograd.grad(loss, parameters))


def test_training_stops_when_a_new_batch_is_known() -> None:
    model = QuantumWords(QRNN(1, 2, batch_first=True, generator=seeded()))
    same = WordBatch(torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4) > 0)
    run = train_words(
        model,
        lambda _: same,
        SoapSetting(0.05, max_norm=0.5),
        n_batches=200,
        goal=Goal(loss=0.01),
        generator=seeded(),
        on_step=lambda *_: None,
    )
    assert run.learnt
    assert run.losses[0] > 0.1
    assert run.losses[-1] < 0.01 <= run.losses[-2]
    assert len(run.losses) < 200
    assert all(later <= earlier for earlier, later in pairwise(run.losses[-5:]))


def test_a_goal_of_right_answers_asks_for_several_mini_batches() -> None:
    goal = Goal(share=0.9)
    assert not goal.reached([0.0], [1.0, 1.0])  # three are asked for
    assert not goal.reached([0.0], [1.0, 1.0, 0.6])
    assert goal.reached([9.0], [0.1, 1.0, 0.7, 1.0])
    assert "90 % are right" in str(goal)
    assert Goal(loss=0.5).reached([1.0, 0.4], [])
    assert "below 0.5" in str(Goal(loss=0.5))


def test_sequences_lengthen_once_they_are_known() -> None:
    draw = Lengthening(dna, longest=12, first=8, factor=1.35, share=0.98)
    assert draw(seeded()).inputs.shape == (128, 8)
    assert not draw.lengthen(0.97)
    assert draw.lengthen(0.98)
    assert draw(seeded()).inputs.shape == (128, 11)
    assert draw.lengthen(1.0)
    assert draw(seeded()).inputs.shape == (128, 12)
    assert not draw.lengthen(1.0)
    assert Lengthening(dna, longest=5).length == 5


def test_short_sequences_do_not_count_as_learnt() -> None:
    model = QuantumWords(QRNN(1, 2, batch_first=True, generator=seeded()))
    known = torch.zeros(1, 12, dtype=torch.long)

    def draw(_: torch.Generator, *, length: int) -> WordBatch:
        return WordBatch(known[:, :length], known[:, :length], known[:, :length] == 0)

    source = Lengthening(draw, longest=12, first=4, factor=2.0, share=1.0)
    goal = Goal(share=0.5)
    told: list[tuple[float, str]] = []
    run = train_words(
        model,
        source,
        SoapSetting(0.05),
        n_batches=100,
        goal=goal,
        generator=seeded(),
        on_step=lambda share, text: told.append((share, text)),
    )
    assert run.learnt
    assert source.length == 12
    assert len(run.losses) >= 3 + 2  # two lengths before, three mini-batches of the last one
    assert len(told) == len(run.losses) - 1
    assert len(run.norms_before) == len(run.norms_after) == 11


def test_a_run_of_fixed_length_lets_the_learning_rate_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    made = SoapSetting.optimizer

    def watched(setting: SoapSetting, model: nn.Module) -> torch.optim.Optimizer:
        optimizer = made(setting, model)
        optimizer.register_step_pre_hook(lambda chosen, *_: rates.append(chosen.param_groups[0]["lr"]))
        return optimizer

    monkeypatch.setattr(SoapSetting, "optimizer", watched)
    model = ClassicalWords(WordRNN("rnn", 1, 2, generator=seeded()))
    seen: list[tuple[int, bool]] = []
    run = train_words(
        model,
        lambda generator: dna(generator, batch=2, length=4)._replace(
            inputs=torch.zeros(2, 4, dtype=torch.long), targets=torch.zeros(2, 4, dtype=torch.long)
        ),
        SoapSetting(0.1),
        n_batches=4,
        goal=None,
        generator=seeded(),
        on_step=lambda *_: None,
        watch=lambda number, answering: seen.append((number, answering is model)),
    )
    assert not run.learnt
    assert seen == [(0, True), (1, True), (2, True), (3, True)]
    assert rates == pytest.approx([0.1, 0.1 * (2 + 2**0.5) / 4, 0.05, 0.1 * (2 - 2**0.5) / 4])


def test_a_slowed_workspace_turns_by_34_degrees_a_step() -> None:
    network = QRNN(3, 5, n_stages=1, order=1, degree=3, batch_first=True, generator=seeded())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    words = torch.zeros(1, 3, dtype=torch.long)

    def overlap() -> float:
        with torch.no_grad():
            _, states = network.trace(words, targets=words)
        return float((states[0] * states[1]).sum().abs())

    assert overlap() == pytest.approx(0.0, abs=1e-6)  # 90 degrees, on five lanes
    slowed(network)
    degrees = 2.0 * math.degrees(math.atan(math.tan(0.2 * math.pi) ** 2)) - 90.0
    assert degrees == pytest.approx(-34.3, abs=0.1)
    assert overlap() == pytest.approx(math.cos(math.radians(degrees)) ** 5, rel=1e-4)


def test_thinned_curves_keep_their_ends() -> None:
    points = thinned([1.0 / (k + 1) for k in range(1000)], most=10)
    assert points[0] == (1, 1.0)
    assert points[-1] == (1000, 0.001)
    assert len(points) <= 12


def test_published_networks_have_their_sizes() -> None:
    def size(name: str) -> int:
        return count_parameters(SEQUENCES[name].quantum(seeded()))

    assert size("dna10") == size("dna100") == 837
    assert count_parameters(NETWORKS["zero-one"].build(seeded())) == 1212


def test_the_comparison_runs_and_reports(tmp_path: Path) -> None:
    plan = make_plan(WORD_SEQUENCES, n_seeds=1, preset="demo", options={"words": "xor"})
    plan = type(plan)(**{**plan.__dict__, "preset": Preset(1, 1, 2)})
    records = run_plan(plan)
    assert [record.outcome.value for record in records] == [2.0] * 3
    page = write_report(plan, records, tmp_path).read_text()
    assert "Do gradients vanish?" in page
    assert "median 2, 2 to 2, learnt by 0 of 1 seeds" in page


def test_mini_batches_are_balanced_and_accuracies_count_the_label_alone() -> None:
    network = NETWORKS["zero-one"]
    words = torch.randint(0, 4, (40, 6), generator=seeded())
    data = label_last(words, torch.tensor([0] * 30 + [1] * 10))
    drawn = SequenceSplit(network, data, data, data).draw(seeded())
    assert drawn.targets[:, -1].tolist() == [0] * network.a_digit + [1] * network.a_digit

    class Fixed(ClassicalWords):
        def loss(self, batch: WordBatch) -> tuple[torch.Tensor, torch.Tensor]:
            chances = torch.tensor([0.7, 0.1, 0.2, 0.0]).expand(*batch.inputs.shape, 4)
            return chances.sum(), chances

    share, measured, matrix = accuracies(Fixed(WordRNN("rnn", 2, 1)), data, 2)
    assert share == 0.75
    assert measured == pytest.approx(0.7 * 0.75 + 0.1 * 0.25, abs=1e-6)
    assert matrix == [[30, 0, 0], [10, 0, 0]]
    assert digit_shares([_record(matrix), _record(matrix), _record([[15, 0, 15], [0, 10, 0]])]) == [1.0, 0.0]


def test_words_that_are_no_label_are_counted_beside_them() -> None:
    class Fixed(ClassicalWords):
        def loss(self, batch: WordBatch) -> tuple[torch.Tensor, torch.Tensor]:
            chances = torch.tensor([0.1, 0.2, 0.0, 0.7]).expand(*batch.inputs.shape, 4)
            return chances.sum(), chances

    data = label_last(torch.zeros(5, 3, dtype=torch.long), torch.tensor([0, 1, 1, 0, 1]))
    share, _, matrix = accuracies(Fixed(WordRNN("rnn", 2, 1)), data, 2)
    assert share == 0.0
    assert matrix == [[0, 0, 2], [0, 0, 3]]


def test_the_report_on_digits_tells_of_each_digit(tmp_path: Path) -> None:
    plan = make_plan(SEQUENCE_DIGITS, n_seeds=1, preset="demo", options={"words": "all"}, models=["rnn"])
    plan = replace(plan, preset=Preset(1, 1, 2))
    records = run_plan(plan)
    page = write_report(plan, records, tmp_path).read_text()
    assert "Digit by digit" in page
    rows = records[0].outcome.details["matrix"]
    labels = digits_split(prepare_digits({"words": "all"}), 0).test.targets[:, -1]
    assert [sum(row) for row in rows] == torch.bincount(labels, minlength=10).tolist()
    assert f"9: {100 * rows[9][9] / sum(rows[9]):.0f} %" in page


def _record(matrix: list[list[int]]) -> Record:
    return Record("sequence-digits", "rnn", 0, "test_accuracy", Outcome(0.5, 1, 1.0, details={"matrix": matrix}))
