"""`qml bench qkan`: a QKAN layer beside the published package's solvers, and beside classical layers of its size."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from qml.bench.bench import Bench, Case, Peer, Step
from qml.nn import QKANLSTM, QKANLayer

REPS = 3
LSTM = "lstm"
SEED = 0


@dataclass(frozen=True)
class LayerWork:
    """A layer, the data it is trained on and where it starts.

    Args:
        trained: True for a training step, False for inference.
        preactivation: True where w and b are trained, False where x itself is uploaded.
        inputs: Standard normal, float32, (batch, in_features).
        targets: Standard normal, float32, (batch, out_features).
        parameters: Parameters by our names, float32.
    """

    trained: bool
    preactivation: bool
    inputs: np.ndarray
    targets: np.ndarray
    parameters: Mapping[str, np.ndarray]

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of inputs and outputs."""
        return self.inputs.shape[1], self.targets.shape[1]


def make_work(case: str) -> LayerWork:
    """Draw the work of a case: `"in,out,batch"` trains pre-activations; "infer" before it infers, "fixed" uploads x."""
    kind, _, sizes = case.rpartition(" ")
    n_inputs, n_outputs, batch = (int(size) for size in sizes.split(","))
    draw = np.random.default_rng(SEED).normal
    edges = (n_outputs, n_inputs)
    parameters = {
        "weights": draw(0.0, 0.5, (*edges, 2 * (REPS + 1))),
        "base_weight": draw(0.5, 0.1, edges),
    }
    if kind != "fixed":
        parameters |= {
            "input_weight": draw(1.0, 0.1, (*edges, REPS)),
            "input_bias": draw(0.0, 0.1, (*edges, REPS)),
        }
    return LayerWork(
        kind != "infer",
        kind != "fixed",
        draw(size=(batch, n_inputs)).astype(np.float32),
        draw(size=(batch, n_outputs)).astype(np.float32),
        {name: values.astype(np.float32) for name, values in parameters.items()},
    )


def ours(case: str) -> Step:
    """Build a step of the package's own layer."""
    if case.startswith(LSTM):
        hidden, trained = parse_lstm(case)[0], case.startswith(f"{LSTM} trained")
        return lstm_step(QKANLSTM(hidden, hidden, reps=REPS, train_preactivation=trained), case)
    work = make_work(case)
    layer = QKANLayer(
        *work.sizes, reps=REPS, train_preactivation=work.preactivation, train_postactivation=False, dtype=torch.float32
    )
    return layer_step(layer, {name: getattr(layer, name) for name in work.parameters}, work)


def published(solver: str, case: str) -> Step:
    """Build a step of the qkan package with its exact read-out <Z>, as ours reads."""
    work = make_work(case)
    layer = importlib.import_module("qkan").QKANLayer(
        *work.sizes, reps=REPS, solver=solver, preact_trainable=work.preactivation, fast_measure=False
    )
    parameters = {"weights": layer.theta, "base_weight": layer.base_weight}
    if work.preactivation:
        parameters |= {"input_weight": layer.preacts_weight, "input_bias": layer.preacts_bias}
    return layer_step(layer, parameters, work)


def pykan(case: str) -> Step:
    """Build a step of pykan's layer: cubic splines on five intervals."""
    work = make_work(case)
    layer = importlib.import_module("kan").KANLayer(*work.sizes, num=5, k=3)
    return layer_step(layer, {}, work, call=lambda inputs: layer(inputs)[0])


def linear(case: str) -> Step:
    """Build a step of `nn.Linear`, the bound that no layer can be faster than."""
    work = make_work(case)
    return layer_step(nn.Linear(*work.sizes), {}, work)


def parse_lstm(case: str) -> tuple[int, int, int]:
    """Read hidden size, time steps and batch of a case such as `"lstm fixed 32,64,64"`."""
    hidden, time, batch = (int(size) for size in case.rpartition(" ")[2].split(","))
    return hidden, time, batch


def torch_lstm(case: str) -> Step:
    """Build a step of `nn.LSTM` of the same sizes."""
    hidden = parse_lstm(case)[0]
    return lstm_step(nn.LSTM(hidden, hidden), case)


def lstm_step(layer: nn.Module, case: str) -> Step:
    """Build a step: the squared outputs' mean over standard normal sequences, and its gradients in all parameters."""
    hidden, time, batch = parse_lstm(case)
    drawn = np.random.default_rng(SEED).standard_normal((time, batch, hidden))
    inputs = torch.from_numpy(drawn.astype(np.float32))

    def step() -> dict[str, Tensor]:
        layer.zero_grad(set_to_none=True)
        loss = layer(inputs)[0].square().mean()
        loss.backward()
        return {"loss": loss.detach()}

    return step


def layer_step(
    layer: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    work: LayerWork,
    *,
    call: Callable[[Tensor], Tensor] | None = None,
) -> Step:
    """Build a step of inference, or of the squared error and its gradients in inputs and parameters."""
    call = call or layer
    inputs, targets = torch.from_numpy(work.inputs.copy()), torch.from_numpy(work.targets)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(work.parameters[name]).view_as(parameter))
    if not work.trained:
        layer.eval()
        return partial(_infer, call, inputs)
    inputs.requires_grad_(True)

    def step() -> dict[str, Any]:
        layer.zero_grad(set_to_none=True)
        inputs.grad = None
        loss = mse_loss(call(inputs), targets)
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in parameters.items()}
        shapes = {name: work.parameters[name].shape for name in gradients}
        shaped = {name: grad.reshape(shapes[name]) for name, grad in gradients.items() if grad is not None}
        return {"loss": loss.detach(), "gradient of inputs": inputs.grad, **shaped}

    return step


def _infer(call: Callable[[Tensor], Tensor], inputs: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return {"outputs": call(inputs)}


SIZES = ("10,10,256", "64,64,256", "128,128,128")
LEFT_OUT = {
    "qkan qml": "it has no pre-activations, and runs one PennyLane circuit an edge: minutes a step",
    "qkan qiskit": "it runs one Qiskit circuit a sample and edge: hours a step",
}
BENCH = Bench(
    title="QKAN layer, ansatz pz, 3 uploads, residual SiLU, squared error, forward and backward (gradients of inputs "
    "and parameters), float32; case is in,out,batch: pre-activations trained; infer: no gradients, "
    "the same parameters from call to call; fixed: x uploaded; lstm: a training step of QKANLSTM of hidden,time,batch",
    ours=ours,
    peers={
        "qkan exact": Peer(partial(published, "exact"), ("qkan",), "qkan"),
        "qkan cutn": Peer(partial(published, "cutn"), ("qkan",), "qkan"),
        "qkan qml": Peer(partial(published, "qml"), ("qkan", "pennylane"), "qkan"),
        "qkan qiskit": Peer(partial(published, "qiskit"), ("qkan", "qiskit_aer"), "qkan"),
        "pykan": Peer(pykan, ("kan",), "pykan", same_work=False),
        "nn.Linear": Peer(linear, ("torch",), "torch", same_work=False),
        "nn.LSTM": Peer(torch_lstm, ("torch",), "torch", same_work=False),
    },
    cases={
        case: Case(("qkan exact", "qkan cutn", "pykan", "nn.Linear"), LEFT_OUT)
        for case in (*SIZES, *(f"infer {sizes}" for sizes in SIZES), *(f"fixed {sizes}" for sizes in SIZES))
    }
    | {
        case: Case(("nn.LSTM",), dict.fromkeys(("qkan exact", "qkan cutn", "pykan"), "it has no recurrent layers"))
        for case in (f"{LSTM} fixed 32,64,64", f"{LSTM} trained 32,64,64")
    },
)
