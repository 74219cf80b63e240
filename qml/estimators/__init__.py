"""Layers and kernels as scikit-learn estimators."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from qml.estimators.gaussian_process import GaussianProcessKernel as GaussianProcessKernel
    from qml.estimators.kernel_machines import QuantumKernelRidge as QuantumKernelRidge
    from qml.estimators.kernel_machines import QuantumSVC as QuantumSVC
    from qml.estimators.kernel_machines import QuantumSVR as QuantumSVR
    from qml.estimators.kitchen_sinks import QuantumKitchenSinks as QuantumKitchenSinks
    from qml.estimators.layers import LayerClassifier as LayerClassifier
    from qml.estimators.layers import LayerRegressor as LayerRegressor
    from qml.reservoir.estimator import ReservoirRegressor as ReservoirRegressor
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "qml.estimators.gaussian_process": ("GaussianProcessKernel",),
            "qml.estimators.kernel_machines": ("QuantumKernelRidge", "QuantumSVC", "QuantumSVR"),
            "qml.estimators.kitchen_sinks": ("QuantumKitchenSinks",),
            "qml.estimators.layers": ("LayerClassifier", "LayerRegressor"),
            "qml.reservoir.estimator": ("ReservoirRegressor",),
        },
    )
