"""The built-in simulator as Qiskit's V2 primitives, as a backend, and as gradients for qiskit-machine-learning."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from qml.plugins.qiskit.backend import NativeBackend as NativeBackend
    from qml.plugins.qiskit.estimator import Estimator as Estimator
    from qml.plugins.qiskit.gradients import EstimatorGradient as EstimatorGradient
    from qml.plugins.qiskit.gradients import SamplerGradient as SamplerGradient
    from qml.plugins.qiskit.sampler import Sampler as Sampler

__getattr__, __dir__ = load_at_first_use(
    __name__,
    {
        "qml.plugins.qiskit.backend": ["NativeBackend"],
        "qml.plugins.qiskit.estimator": ["Estimator"],
        "qml.plugins.qiskit.gradients": ["EstimatorGradient", "SamplerGradient"],
        "qml.plugins.qiskit.sampler": ["Sampler"],
    },
)
