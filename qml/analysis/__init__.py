"""What a circuit or a layer is made of, and what it can do."""

from qml.analysis.effective_dimension import EffectiveDimension as EffectiveDimension
from qml.analysis.effective_dimension import effective_dimension as effective_dimension
from qml.analysis.expressibility import EntanglingCapability as EntanglingCapability
from qml.analysis.expressibility import Expressibility as Expressibility
from qml.analysis.expressibility import entangling_capability as entangling_capability
from qml.analysis.expressibility import expressibility as expressibility
from qml.analysis.expressibility import meyer_wallach as meyer_wallach
from qml.analysis.fourier import FourierSeries as FourierSeries
from qml.analysis.fourier import circuit_fourier_series as circuit_fourier_series
from qml.analysis.fourier import fourier_series as fourier_series
from qml.analysis.gradients import GradientScaling as GradientScaling
from qml.analysis.gradients import GradientVariance as GradientVariance
from qml.analysis.gradients import gradient_scaling as gradient_scaling
from qml.analysis.gradients import gradient_variance as gradient_variance
from qml.analysis.resources import Resources as Resources
from qml.analysis.resources import resources as resources
