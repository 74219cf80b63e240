"""Quantum kernels as torch modules."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from qml.kernels.alignment import target_alignment as target_alignment
    from qml.kernels.fidelity import FidelityKernel as FidelityKernel
    from qml.kernels.matrices import nearest_positive as nearest_positive
    from qml.kernels.nystroem import NystroemFeatures as NystroemFeatures
    from qml.kernels.projected import ProjectedKernel as ProjectedKernel
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "qml.kernels.alignment": ["target_alignment"],
            "qml.kernels.fidelity": ["FidelityKernel"],
            "qml.kernels.matrices": ["nearest_positive"],
            "qml.kernels.nystroem": ["NystroemFeatures"],
            "qml.kernels.projected": ["ProjectedKernel"],
        },
    )
