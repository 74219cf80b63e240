"""Drawings: what stands where, and that nothing is left out in silence."""

import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from matplotlib.figure import Figure

from circuits import Circuit, channels, data, drawing, weight
from circuits.classifier import classifier_circuit
from circuits.drawing.layout import angle_text, layout
from tests import strategies
from tests.strategies import examples

draw = Circuit.draw

KINDS = (*strategies.UNITARY_KINDS, *strategies.MID_CIRCUIT_KINDS, *strategies.NOISE_KINDS)


def everything() -> Circuit:
    circuit = Circuit(4).prepare([1, 0, 0, 0], (2, 3)).ry(data(0), 0).exp_pauli(weight(0), "ZX", (2, 0)).cx(0, 3)
    circuit.u3(0.1, weight(1), np.pi / 4, 1, controls=(0,)).pauli_rotation(3 * np.pi / 4, "XY", (0, 1))
    circuit.post_select(1, 1).measure(0).reset(2).unitary(np.eye(4), (1, 3), controls=2, label="V").sdg(1)
    return circuit.swap(0, 2, controls=3).noise(channels.depolarizing(0.1), 2).kraus([np.eye(2)], 0).p(1.23456, 3)


def test_gates_are_packed_to_the_left_and_slots_are_named() -> None:
    circuit = Circuit(3).ry(data(0), 0).cx(0, 2).rx(weight(1), 1).rx(weight(0), 1).h(1)
    assert draw(circuit) == (
        "q0: ─┤RY(data[0])├──●──────────────────────────────\n"
        "                    │\n"
        "q1: ────────────────┼──┤RX(w[1])├──┤RX(w[0])├──┤H├─\n"
        "                    │\n"
        "q2: ────────────────⊕──────────────────────────────"
    )


def test_a_column_holds_what_does_not_overlap() -> None:
    circuit = Circuit(4).cx(0, 2).x(1).x(3).cx(3, 2)
    drawn = layout(4, circuit.operations, max_operations=None, max_qubits=None)
    rows = [[tuple(mark.row for mark in item.marks) for item in column] for column in drawn.columns]
    assert rows == [[(0, 2), (3,)], [(1,), (2, 3)]]


def test_every_kind_of_operation_has_its_label() -> None:
    text = draw(everything(), width=400)
    assert isinstance(text, str)
    for label in (
        "┤|ψ⟩:0├", "┤RY(data[0])├", "┤Z: exp(i w[0] ZX)├", "⊕", "┤U3(0.1, w[1], π/4)├", "┤X: RXY(3π/4)├",
        "┤keep 1├", "┤M→c0├", "┤|0⟩├", "┤V:0├", "┤V:1├", "╳",
        "┤depolarizing 0.1├", "┤kraus├", "┤P(1.23)├", "┤S†├",
    ):  # fmt: skip
        assert label in text


@pytest.mark.parametrize("label", ["$\\frac{$", "a\nb", "\x1b[31mred", "[/red]", "<b>", "\u202egnp", "x" * 10_000, ""])
def test_labels_of_others_stay_on_their_line_and_are_no_markup(label: str) -> None:
    circuit = Circuit(2).unitary(np.eye(2), 0, label=label).kraus([np.eye(2)], 0)
    text = str(draw(circuit))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    lines = text.split("\n")
    assert [line[:4] for line in lines] == ["q0: ", "", "q1: "]
    assert len(lines[0]) < 120
    figure = draw(circuit, "mpl")
    assert isinstance(figure, Figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a glyph that the font lacks
        figure.savefig(io.BytesIO(), format="svg")


def test_slots_as_amplitudes_and_other_factors_are_labelled() -> None:
    text = draw(Circuit(2).prepare_slots([data(k) for k in range(4)]).h(0))
    assert "┤ψ(data[0]..data[3]):0├" in str(text)
    assert "┤exp(-i w[0] Z)├" in str(draw(Circuit(1).exp_pauli(weight(0), "Z", 0).inverse()))


@pytest.mark.parametrize(
    ("angle", "text"),
    [(np.pi, "π"), (-np.pi / 2, "-π/2"), (2 * np.pi, "2π"), (3 * np.pi / 8, "3π/8"), (0.0, "0"),
     (1e-9, "1e-09"), (3.14, "3.14"), (data(12), "data[12]"), (weight(0), "w[0]")],
)  # fmt: skip
def test_angles_are_short(angle: object, text: str) -> None:
    assert angle_text(angle) == text


@examples(60)
@given(strategies.recipes(KINDS, max_qubits=5, max_steps=12))
def test_every_line_fits_and_every_operation_is_drawn(recipe: strategies.Recipe) -> None:
    circuit = strategies.build(recipe).circuit
    drawn = layout(circuit.n_qubits, circuit.operations, max_operations=None, max_qubits=None)
    assert sum(map(len, drawn.columns)) == len(circuit)
    text = str(draw(circuit, width=60))
    longest = max((len(mark.label) for column in drawn.columns for item in column for mark in item.marks), default=0)
    assert max(map(len, text.split("\n"))) <= max(60, longest + 12)
    boxes = sum(mark.kind == "box" for column in drawn.columns for item in column for mark in item.marks)
    assert text.count("┤") == boxes


def test_wrapped_lines_say_that_they_go_on() -> None:
    lines = str(draw(classifier_circuit(2, "zxz"), width=50)).split("\n")
    first = [line for line in lines if line.startswith("q0: ")]
    assert len(first) == 4
    assert [line.endswith("»") for line in first] == [True, True, True, False]
    assert [line.startswith("q0: «") for line in first] == [False, True, True, True]


def test_what_is_cut_is_said() -> None:
    text = str(draw(classifier_circuit(5, "zx"), max_operations=8, max_qubits=4))
    assert text.endswith("Not drawn: 7 of 15 operations and 2 of 6 qubits.")
    assert "\n⋮" in text
    assert "q5: " in text
    assert "Not drawn" not in str(draw(classifier_circuit(5, "zx")))
    assert str(draw(classifier_circuit(784, "z"))).endswith("operations and 735 of 785 qubits.")


def test_a_figure_is_drawn_without_pyplot() -> None:
    code = (
        "import io, sys; from circuits import Circuit; figure = Circuit(2).h(1).cx(1, 0).draw('mpl'); "
        "figure.savefig(io.BytesIO()); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # in a process where nobody else has loaded pyplot
    figure = draw(everything(), "mpl", width=8)
    assert isinstance(figure, Figure)
    labels = {text.get_text() for text in figure.axes[0].texts}
    assert {
        "RY(data[0])",
        "Z: exp(i w[0] ZX)",
        "M→c0",
        "q3",
        "data slot",
        "weight slot",
        "not unitary",
    } <= labels


def test_a_figure_says_what_is_cut_and_wraps() -> None:
    figure = draw(classifier_circuit(6, "zx"), "mpl", width=6, max_operations=4)
    assert isinstance(figure, Figure)
    assert "Not drawn: 14 of 18 operations." in {text.get_text() for text in figure.axes[0].texts}
    narrow, wide = (draw(classifier_circuit(3, "zx"), "mpl", width=width) for width in (4, 30))
    assert isinstance(narrow, Figure)
    assert isinstance(wide, Figure)
    assert narrow.get_size_inches()[0] <= 4
    assert narrow.get_size_inches()[1] > 2 * wide.get_size_inches()[1]


def test_an_empty_circuit_can_be_drawn() -> None:
    assert draw(Circuit(2)) == "q0: ─\n\nq1: ─"
    assert isinstance(draw(Circuit(2), "mpl"), Figure)


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match='must be "text", "svg" or "mpl", but is \'png\''):
        drawing.draw(1, (), "png")
    with pytest.raises(ValueError, match="`max_operations` must be at least 1, but is 0"):
        draw(Circuit(1), max_operations=0)
    with pytest.raises(ValueError, match="`max_qubits` must be at least 1, but is 0"):
        draw(Circuit(1), max_qubits=0)
