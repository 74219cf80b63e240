"""Notebooks show circuits, figures and results as pictures, in a kernel where nobody has imported pyplot."""

import pickle
from typing import Any
from xml.etree import ElementTree as ET

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given
from matplotlib.figure import Figure
from nbclient import NotebookClient

from circuits import Circuit, data, weight
from circuits.classifier import classifier_circuit
from circuits.shown_figure import ShownFigure
from qml.analysis import activations, fourier_series
from qml.nn import QKAN
from tests import strategies
from tests.strategies import examples
from tests.test_drawing import KINDS, everything

PNG = b"\x89PNG\r\n"


def shown(value: Any) -> dict[str, Any]:
    """What IPython makes of a value, where nothing was registered for its type."""
    from IPython.core.formatters import DisplayFormatter

    return DisplayFormatter().format(value)[0]


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_circuit_shows_a_picture_and_its_text() -> None:
    circuit = Circuit(2).ry(data(0), 0).cx(0, 1).rz(weight(0), 1)
    bundle = shown(circuit)
    assert bundle["text/plain"] == circuit.draw()
    assert bundle["image/svg+xml"] == circuit.draw("svg", width=9.5)
    assert texts(bundle["image/svg+xml"]) == ["q0", "q1", "RY(data[0])", "RZ(w[0])", "data slot", "weight slot"]
    assert repr(circuit) == "Circuit(n_qubits=2, operations=3)"


def test_a_picture_asked_for_shows_itself() -> None:
    picture = everything().draw("svg")
    assert shown(picture)["image/svg+xml"] == picture
    assert {"Z: exp(i w[0] ZX)", "M→c0", "V:1", "not unitary"} <= set(texts(str(picture)))
    assert shown(Circuit(1))["image/svg+xml"].startswith("<svg")


@examples(40)
@given(strategies.recipes(KINDS, max_qubits=5, max_steps=12))
def test_every_picture_is_well_formed_and_holds_every_box(recipe: strategies.Recipe) -> None:
    circuit = strategies.build(recipe).circuit
    drawing = str(circuit.draw(width=200, max_operations=None))
    labels = texts(str(circuit.draw("svg", width=5)))
    assert sum(f"┤{label}├" in drawing for label in labels) >= drawing.count("┤")
    widest = max(map(len, labels)) * 7.25 + 80
    assert float(ET.fromstring(str(circuit.draw("svg", width=5))).get("width", "inf")) <= max(480, widest)


@pytest.mark.parametrize("label", ["<script>", "a&b", '"', "\x00", "\u202e", "]]>"])
def test_labels_of_others_are_text_in_a_picture(label: str) -> None:
    svg = str(Circuit(1).unitary(np.eye(2), 0, label=label).draw("svg"))
    assert "<script>" not in svg
    assert len(texts(svg)) == 2


def test_a_picture_in_a_notebook_is_bounded_and_says_so() -> None:
    circuit, note = classifier_circuit(200, "zxzx"), "Not drawn: 973 of 1000 operations and 177 of 201 qubits."
    bundle = shown(circuit)
    root = ET.fromstring(bundle["image/svg+xml"])
    assert float(root.get("width", "inf")) <= 9.5 * 96
    assert float(root.get("height", "inf")) <= 14 * 96
    assert note in bundle["image/svg+xml"]
    assert bundle["text/plain"].endswith(note)


def test_a_deep_circuit_is_cut_at_its_height() -> None:
    circuit = Circuit(20)
    for _ in range(250):
        circuit.cx(0, 19)
    svg = shown(circuit)["image/svg+xml"]
    assert float(ET.fromstring(svg).get("height", "inf")) <= 14 * 96
    assert svg.count("<circle") == 2 * 19  # two marks of each that is drawn
    assert "Not drawn: 231 of 250 operations." in svg


def test_a_figure_is_one_of_matplotlib_and_shows_itself() -> None:
    figure = Circuit(2).h(0).cx(0, 1).draw("mpl")
    assert isinstance(figure, ShownFigure)
    assert isinstance(figure, Figure)
    assert shown(figure)["image/png"]
    restored = pickle.loads(pickle.dumps(figure))
    assert isinstance(restored, ShownFigure)
    assert restored._repr_png_().startswith(PNG)


def test_results_show_their_plots() -> None:
    inputs = torch.rand(8, 2, generator=torch.Generator().manual_seed(0))
    network = QKAN([2, 2, 1])
    for result in (activations(network, inputs), activations(network, inputs).layers[0]):
        assert result._repr_png_() is not None
    wide = activations(QKAN([2, 31]), inputs)
    assert (wide._repr_png_(), wide.layers[0]._repr_png_()) == (None, None)
    assert fourier_series(lambda x: torch.cos(x[:, 0]), [1])._repr_png_() is not None
    assert fourier_series(lambda x: torch.cos(x[:, 0] + x[:, 1]), [1, 1])._repr_png_() is None


def test_a_fresh_kernel_shows_circuits_figures_and_results() -> None:
    cells = [
        "from circuits import Circuit, data\ncircuit = Circuit(2).ry(data(0), 0).cx(0, 1)\ncircuit",
        "circuit.draw('mpl')",
        "import torch\nfrom qml.analysis import activations\nfrom qml.nn import QKAN\n"
        "activations(QKAN([1, 1]), torch.rand(5, 1)).plot()",
        "import sys\n'matplotlib.pyplot' in sys.modules",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    bundles = [cell.outputs[-1]["data"] for cell in notebook.cells]
    assert bundles[0]["image/svg+xml"].startswith("<svg")
    assert bundles[0]["text/plain"].startswith("q0: ─┤RY(data[0])├──●─")
    assert all("image/png" in bundle for bundle in bundles[1:3])
    assert bundles[3]["text/plain"] == "False"
