"""Quantum machine learning layers for torch, on a fast simulator of their own and on other backends."""

from typing import TYPE_CHECKING

try:
    from circuits import load_at_first_use
except ImportError as error:
    from qml.installation import foreign_circuits

    raise foreign_circuits() from error

if TYPE_CHECKING:
    from qml import analysis as analysis
    from qml import backends as backends
    from qml import baselines as baselines
    from qml import bench as bench
    from qml import compare as compare
    from qml import data as data
    from qml import estimators as estimators
    from qml import jobs as jobs
    from qml import kernels as kernels
    from qml import nn as nn
    from qml import pinn as pinn
    from qml import plugins as plugins
    from qml import remote as remote
    from qml import reservoir as reservoir
    from qml.installation import __version__ as __version__
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "qml": (
                "analysis",
                "backends",
                "baselines",
                "bench",
                "compare",
                "data",
                "estimators",
                "jobs",
                "kernels",
                "nn",
                "pinn",
                "plugins",
                "remote",
                "reservoir",
            ),
            "qml.installation": ("__version__",),
        },
    )
