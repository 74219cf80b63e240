"""Saved layers on hardware: estimates of what a run costs, and runs that survive the process that sends them."""

from qml.jobs.budget import Budget as Budget
from qml.remote.estimate import Estimate as Estimate
from qml.remote.estimate import estimate as estimate
from qml.remote.estimate import predictions as predictions
from qml.remote.inputs import read_inputs as read_inputs
from qml.remote.inputs import write_arrays as write_arrays
from qml.remote.inputs import write_outputs as write_outputs
from qml.remote.runs import adopt as adopt
from qml.remote.runs import as_tensor as as_tensor
from qml.remote.runs import cancel as cancel
from qml.remote.runs import find_run as find_run
from qml.remote.runs import make_backend as make_backend
from qml.remote.runs import output_of as output_of
from qml.remote.runs import outputs_of as outputs_of
from qml.remote.runs import parse_model as parse_model
from qml.remote.runs import replies_of as replies_of
from qml.remote.runs import require_submittable as require_submittable
from qml.remote.runs import service_of as service_of
from qml.remote.runs import start as start
from qml.remote.runs import take_up as take_up
from qml.remote.state import RunState as RunState
from qml.remote.state import live_states as live_states
from qml.remote.state import run_state as run_state
