# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From simulator to hardware
#
# A layer is trained on the built-in simulator, and then runs, with the same weights, on other simulators, on a noisy
# copy of a real device, and on the device itself. What does the noise cost, what does
# [mitigation](https://doi.org/10.1103/RevModPhys.95.045005) win back, and what does a job cost before it is sent?

# %%
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from qml.backends import IBM, Aer, Backend, Native, NoisyNative, PennyLane
from qml.data import Dataset, downsample, load_digits, split_dataset
from qml.jobs import DurableRunner, Store
from qml.nn import QNNClassifier, logistic_loss
from qml.remote.estimate import estimate

DEVICE = "fake_torino"  # a snapshot of 133 qubits: couplings, gate times, error rates

# %% [markdown]
# ## Trained without noise
#
# Real images of 3 and 6 from MNIST, averaged to 2x2 pixels, and the classifier of
# [Farhi and Neven](https://arxiv.org/abs/1802.06002) on 4 + 1 qubits. Its expectation value goes through a trained gain
# and bias, so that the threshold between the classes is where training puts it.

# %%
digits = load_digits(3, 6)
pixels = downsample(digits.inputs, 2)
split = split_dataset(Dataset(pixels / pixels.max(), digits.labels), seed=0, test=0.7)


class Logit(nn.Module):
    """gain * <Y> + bias."""

    def __init__(self) -> None:
        super().__init__()
        self.qnn = QNNClassifier(4, "zx", generator=torch.Generator().manual_seed(0))
        self.gain, self.bias = nn.Parameter(torch.tensor(4.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.gain * self.qnn(inputs) + self.bias


def train(backend: Backend, n_steps: int = 150) -> Logit:
    """Adam on all training images at once."""
    model = Logit()
    model.qnn.to_backend(backend)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimizer.zero_grad()
        logistic_loss(model(split.train.inputs), split.train.labels, scale=1.0).backward()
        optimizer.step()
    return model


@torch.no_grad()
def run(model: Logit, backend: Backend, data: Dataset) -> tuple[float, Tensor]:
    """Accuracy and expectation values on a backend."""
    model.qnn.to_backend(backend)
    values = model.qnn(data.inputs)
    right = (model.gain * values + model.bias > 0) == (data.labels > 0)
    return float(right.float().mean()), values


model = train(Native())
ideal, exact = run(model, Native(), split.test)
print(f"{ideal:.0%} of {len(split.test)} test images; gain {model.gain.item():.1f}, bias {model.bias.item():.2f}")
assert ideal > 0.85

# %% [markdown]
# ## The same weights elsewhere
#
# `to_backend` moves a layer. Exact backends must agree, whoever wrote them.

# %%
for backend in (PennyLane("lightning.qubit"), Aer()):
    _, values = run(model, backend, split.test)
    print(f"{backend.name}: largest difference {(values - exact).abs().max():.1e}")
    assert (values - exact).abs().max() < 1e-6

# %% [markdown]
# ## A noisy device
#
# `NoisyNative` transpiles the circuit for the device and follows every gate by the device's channel; read-out errors
# are added at the end. Which of the 133 qubits it takes matters more than anything below: by default those with the
# least calibrated errors, and never a qubit or coupler that the calibration calls broken. A report says which, their
# errors, and the fidelity that they let expect. Beside it a layout that looks at the couplings alone:

# %%
noisy = NoisyNative(DEVICE, layout="connectivity")
for name, backend in (("by calibration", NoisyNative(DEVICE)), ("by couplings", noisy)):
    report = backend.layout_report(model.qnn.circuit, [4])  # the read-out is on the last qubit
    accuracy, _ = run(model, backend, split.test)
    worst = report.two_qubit_errors[-1]
    print(f"{name}: qubits {report.qubits}, worst coupler {worst:.4f}, read-out {report.readout_errors[0]:.3f}")
    print(f"  expected fidelity {report.expected_fidelity:.2f}, accuracy {accuracy:.0%} ({ideal:.0%} without noise)")

# %% [markdown]
# The rest shows what can be done where the noise is large, so it stays with the second layout. The star of couplings
# that the classifier asks for does not exist on the chip, so the transpiler adds gates:

# %%
device_circuit = noisy.noisy(model.qnn.circuit).circuit
pairs = sum(len(op.all_qubits) == 2 and not op.is_noise for op in device_circuit)
asked = sum(len(op.all_qubits) == 2 for op in model.qnn.circuit)
print(f"{asked} two-qubit gates became {pairs} of the device's own, with errors after each")
assert pairs > asked

# %%
noisy_accuracy, noisy_values = run(model, noisy, split.test)
slope = float(noisy_values @ exact / (exact @ exact))
plt.scatter(exact, noisy_values, s=14, label="test images")
line = torch.tensor([exact.min(), exact.max()])
plt.plot(line, line, color="grey", lw=1, label="no noise")
plt.plot(line, slope * line, color="C3", lw=1, label=f"slope {slope:.2f}")
threshold = -model.bias.item() / model.gain.item()
plt.axhline(threshold, color="black", lw=0.8, ls=":", label="trained threshold")
plt.xlabel("expectation value without noise")
plt.ylabel(f"with the noise of {DEVICE}")
plt.legend()
plt.show()
print(f"accuracy {ideal:.0%} without noise, {noisy_accuracy:.0%} with it")
assert 0.2 < slope < 0.9
assert noisy_accuracy < ideal - 0.05

# %% [markdown]
# Noise hardly scatters the values: it shrinks them all by nearly one factor. Were the threshold at 0, no decision would
# change. With a threshold elsewhere, images near it change sides.
#
# ## Mitigation
#
# `IBM` runs a fake device in the Runtime client's local mode, with shots. The client can twirl the measurement and
# divide by what a calibration gives ([TREX](https://doi.org/10.1103/PhysRevA.105.032620)), and stretch the noise
# and extrapolate it away ([ZNE](https://doi.org/10.1103/PhysRevLett.119.180509)). Each image then needs dozens of
# circuits, so we take twelve images.

# %%
few = Dataset(split.test.inputs[:12], split.test.labels[:12])
exact_few = run(model, Native(), few)[1]
ways = {
    "nothing": {},
    "read-out": {"readout_mitigation": True},
    "read-out and ZNE": {"readout_mitigation": True, "zne": (1, 3)},
}
errors = {}
for name, options in ways.items():
    started = time.perf_counter()
    found = run(model, IBM(DEVICE, shots=4000, layout="connectivity", **options), few)[1]
    errors[name] = float((found - exact_few).square().mean().sqrt() / exact_few.square().mean().sqrt())
    print(f"{name}: off by {errors[name]:.0%} of the values' size, {time.perf_counter() - started:.1f} s")
plt.bar(list(errors), list(errors.values()))
plt.ylabel("root mean square error / size")
plt.title("What the client's mitigation wins back")
plt.show()
assert errors["read-out and ZNE"] < errors["nothing"]

# %% [markdown]
# The errors of these qubits' read-out are small beside those of the gates between them, so that the first alone changes
# nothing; extrapolation wins a part back. On the qubits that calibration chooses there is less to win: there a few
# thousand shots of twelve images scatter more than the noise moves them.
#
# ## Trained with the noise
#
# The noise model is differentiable, so the layer can be trained with it: the threshold then fits the shrunken values.
# It costs nothing on the device.

# %%
started = time.perf_counter()
aware = train(noisy)
aware_accuracy, _ = run(aware, noisy, split.test)
print(f"trained with noise in {time.perf_counter() - started:.1f} s")
print(f"on the device's noise: trained without it {noisy_accuracy:.0%}, with it {aware_accuracy:.0%}")
assert aware_accuracy > noisy_accuracy + 0.05

# %% [markdown]
# One split and one start prove little; `qml compare backends` repeats this over seeds, with shots, and for the
# other families of layers.
#
# ## What a job will cost
#
# Before anything is sent, a dry run counts jobs, circuits and seconds of the real device's gate times. Forward and
# backward are one job each, whatever the batch.

# %%
batch = split.train.inputs[:8]
size = estimate(model.qnn, batch, IBM(DEVICE, shots=1000), backward=True)
print(size)
assert size.jobs == 2
assert size.seconds is not None
assert size.seconds > 2 * size.jobs

# %% [markdown]
# ## Jobs that survive
#
# Every submission is written down before it is sent. Here the process "dies" after the second of three jobs; the same
# program, started again, replays what is there and sends only what never was. On a real device replace
# `Aer(...)` by `IBM("ibm_torino", run_id="tuesday")`.


# %%
def program(store: Store, *, dies_after: int | None = None) -> list[Tensor]:
    """Predictions in three jobs."""
    backend = Aer(noise=DEVICE, shots=500)
    model.qnn.to_backend(backend.with_runner(DurableRunner(backend.service, store, "tuesday")))
    results = []
    for number, part in enumerate(split.test.inputs[:60].split(20)):
        if number == dies_after:
            raise KeyboardInterrupt
        with torch.no_grad():
            results.append(model.qnn(part))
    return results


with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "jobs.sqlite") as store:
    store.add_run("tuesday", now=time.time(), backend="aer")
    with suppress(KeyboardInterrupt):
        program(store, dies_after=2)
    before = [chunk.tag for chunk in store.chunks("tuesday")]
    results = program(store)
    after = [chunk.tag for chunk in store.chunks("tuesday")]
    again = program(store)
    print(f"{len(before)} jobs before the crash, {len(after)} in all; the first {len(before)} are the same")
    assert after[:2] == before
    assert len(after) == 3
    assert all(torch.equal(one, other) for one, other in zip(results, again, strict=True))  # replayed, not run again
    assert len(store.chunks("tuesday")) == 3
