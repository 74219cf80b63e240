"""Differential equations: trunks of physics-informed networks and ways to train them, on one problem."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from qml.baselines import count_parameters
from qml.compare.task import Metric, Model, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks import pinn_fits as fits
from qml.compare.tasks import pinn_more_fits as more
from qml.compare.tasks import pinn_trunks as trunks
from qml.compare.tasks.pinn_figures import error_figure, solution_figure
from qml.compare.tasks.pinn_published import published_section
from qml.pinn import PROBLEMS, Annealing, Causal, Curriculum, Problem, Resampling, find_problem
from qml.pinn.problems.catalogue import GROUPS
from qml.pinn.problems.evolution import diffusivity
from qml.pinn.problems.inverse_flow import carried_vortices
from qml.pinn.problems.power import swing
from qml.pinn.problems.radial import radial_diffusivity
from qml.pinn.problems.traffic import traffic
from qml.pinn.problems.unknown_reaction import unknown_reaction

EQUAL = "Levenberg-Marquardt"
LINEAR = ("poisson", "poisson-2d", "helmholtz", "heat")  # of one field, whose conditions are faces
INVERSE = {"diffusivity": diffusivity, "radial-diffusivity": radial_diffusivity, "swing": swing}
MEASURED = INVERSE | {
    "traffic": traffic,
    "unknown-reaction": unknown_reaction,
    "carried-vortices": carried_vortices,
}


def prepare(options: Options) -> Problem:
    """Return the problem."""
    return find_problem(str(options["problem"]))


def split(problem: Problem, seed: int) -> Problem:
    """Return the problem alike for every seed, which draws weights and points, and the noise in measurements."""
    return MEASURED[problem.name](seed=seed) if problem.name in MEASURED else problem


def models(options: Options) -> dict[str, Model[Problem]]:
    """Return trunks of one size in one training, and methods that bring a larger network nearer to the solution."""
    problem = prepare(options)
    size = count_parameters(trunks.qnn(problem, torch.Generator()))
    equal = f" As large as the QNN, {size} parameters, by {EQUAL}."
    offered = {
        "qnn": _trunk(
            "QNN",
            "quantum",
            f"An affine map to the angles of {trunks.N_QUBITS} qubits, {trunks.N_REPEATS} times encoded before "
            f"rotations and a ring of CX; an affine map of the <Z>: {size} parameters, by {EQUAL}.",
            trunks.qnn,
        ),
        "qkan": _trunk("QKAN", "quantum", "Two QKAN layers (2509.14026)." + equal, trunks.qkan),
        "daruan": _trunk(
            "DARUAN net", "quantum", "Two hidden layers with DARUAN activations (2509.14026)." + equal, trunks.daruan
        ),
        "kan-small": _trunk("Small KAN", "classical", "Two layers of splines." + equal, trunks.small_kan),
        "mlp-small": _trunk("Small MLP", "classical", "Two hidden layers of tanh." + equal, trunks.small_mlp),
        "separable": _trunk(
            "Separable", "classical", "Products of one MLP a coordinate (2306.15969)." + equal, trunks.separable
        ),
        "mlp": _method("MLP", "Three hidden layers of 32 tanh units."),
        "modified-mlp": _method("Modified MLP", "The same with two encoders (2001.04536).", trunks.modified),
        "fourier": _method("Fourier MLP", "16 random frequencies before the MLP (2006.10739).", trunks.fourier),
        "kan": _method("KAN", "An affine map to 4, splines to 8 and to the fields (2404.19756).", trunks.kan),
        "lstm": _method("LSTM trunk", "3 layers of 16 with a memory over depth (2604.14201).", trunks.lstm),
    }
    if problem.features is None:
        recipe = "100 trainable Gaussians and 16 units (2412.05994)."
        offered["gaussians"] = _method("Gaussians", recipe, trunks.gaussians)
    if any(not condition.exact for condition in problem.conditions):
        recipe = "Weights of conditions from gradients (2001.04536)."
        offered["mlp-annealed"] = _method("MLP, annealed", recipe, annealing=Annealing())
    if "t" in problem.coordinates:
        recipe = "16 units with attention to three times (2601.03613)."
        offered["attention"] = _method("Attention trunk", recipe, trunks.attention)
        offered["mlp-causal"] = _method("MLP, causal", "Weights over slices of time (2203.07404).", causal=Causal())
    offered["mlp-resampled"] = _method(
        "MLP, resampled", "Points where the residual is large (2207.10289).", resampling=Resampling()
    )
    offered["mlp-curriculum"] = _method(
        "MLP, curriculum", "Easy points first, by a Gaussian mixture (2605.19263).", curriculum=Curriculum()
    )
    recipe = "A small network in float64 by the problem's recipe (2402.10680), see `qml.pinn.RECIPES`."
    offered["mlp-marquardt"] = _as_in_the_recipe("MLP, Levenberg-Marquardt", recipe, fits.by_recipe)
    return offered | _without_derivatives(problem) | _of_one_problem(problem)


def _without_derivatives(problem: Problem) -> dict[str, Model[Problem]]:
    """Return the Kalman filters, on problems whose residuals are few and hold no trained scalar."""
    if problem.scalars or len(problem.coordinates) > 2 or len(problem.fields) > 1:
        return {}
    recipe = "An ensemble Kalman filter moves the weights, without a derivative in them (1209.2736)."
    builds = (("qnn", "QNN", "quantum", trunks.qnn), ("mlp-small", "Small MLP", "classical", trunks.small_mlp))
    return {
        f"{name}-kalman": _as_in_the_recipe(
            f"{title}, Kalman filter", recipe, partial(more.by_kalman, build), kind=kind, family="no derivatives"
        )
        for name, title, kind, build in builds
    }


def _of_one_problem(problem: Problem) -> dict[str, Model[Problem]]:
    """Return the methods that only some problems allow."""
    offered: dict[str, Model[Problem]] = {}
    if problem.domain.breaks:
        recipe = "One MLP of 12-12 a piece, joined by values and slopes (2309.17345, 2210.12669), by " + EQUAL + "."
        offered["pieces"] = _as_in_the_recipe("Subdomains", recipe, fits.in_pieces)
    if problem.name in LINEAR:
        recipe = "A kernel whose spectrum is trained, conditioned on the equation (2311.04465)."
        offered["process"] = _as_in_the_recipe("Spectral Gaussian process", recipe, fits.by_process, is_seeded=False)
    if problem.name == "poisson-2d":
        recipe = f"{fits.N_LABELS} Monte-Carlo values in the loss (2606.00643)."
        offered["mlp-labels"] = _as_in_the_recipe("MLP, Feynman-Kac labels", recipe, fits.with_labels)
    if problem.name == "convection":
        recipe = f"Paths and values along them (2205.02902), by {EQUAL}."
        offered["mlp-lagrangian"] = _as_in_the_recipe("MLP, Lagrangian", recipe, fits.lagrangian)
    if problem.name in INVERSE:
        offered |= _with_deviations()
    if problem.name in more.IN_WINDOWS:
        recipe = "Fixed random features with a trained read-out, window by window (2203.07404, 2012.02895)."
        offered["windows"] = _as_in_the_recipe("Windows of time", recipe, more.in_windows)
    if problem.name in more.CONTINUED:
        recipe = (
            "Polynomials with trained weights, from one Reynolds number to the next, by steps of Gauss and Newton: "
            "close to a spectral method."
        )
        offered["continuation"] = _as_in_the_recipe("Continuation", recipe, more.by_continuation, is_seeded=False)
    if problem.name == "unknown-reaction":
        offered |= _unknown_terms()
    if problem.name == "traffic":
        offered |= _roads_together()
    return offered


def _with_deviations() -> dict[str, Model[Problem]]:
    """Return the methods that give a trained scalar with a standard deviation."""
    members = f"{fits.N_MEMBERS} networks by the recipe, each on a bootstrap sample of the data (1612.01474)."
    weights = "The recipe's network, and the posterior of its weights and of k (2403.13602)."
    last_layer = "The same with the posterior of the last layer and of k alone."
    return {
        "mlp-ensemble": _as_in_the_recipe("Ensemble", members, fits.ensemble),
        "mlp-bayes": _as_in_the_recipe("Bayesian weights", weights, partial(fits.bayes, "all")),
        "mlp-bayes-readout": _as_in_the_recipe("Bayesian read-out", last_layer, partial(fits.bayes, "readout")),
    }


def _unknown_terms() -> dict[str, Model[Problem]]:
    """Return the modules that may stand for the unknown term f(u)."""
    kinds = (
        ("polynomial", "polynomial", "a polynomial of degree 3", "classical"),
        ("mlp", "MLP", "8 tanh units", "classical"),
        ("qkan", "QKAN", "a one-qubit circuit", "quantum"),
    )
    return {
        f"term-{name}": _as_in_the_recipe(
            f"Unknown term, {title}",
            f"An MLP of 16-16 for u and {words} for f(u), by {EQUAL} (2212.04630).",
            partial(more.with_term, name),
            kind=kind,
        )
        for name, title, words, kind in kinds
    }


def _roads_together() -> dict[str, Model[Problem]]:
    """Return the rules for the weight of a second road, which shares the network."""
    rules = (
        ("equal", "no rule"),
        ("similarity", "the cosine of gradients (1812.02224)"),
        ("variance", "variances (1705.07115)"),
    )
    return {
        f"tasks-{rule}": _as_in_the_recipe(
            f"Two roads, {rule}",
            f"A second road shares the network; its weight by {words} (2307.03920), by {EQUAL}.",
            partial(more.roads_together, rule),
        )
        for rule, words in rules
    }


def sections(problem: Problem, records: list[Record], options: Options) -> list[Section]:
    """Show published errors, solutions and errors of the first seed, and trained scalars beside their references."""
    text = f"Reference: {problem.source or 'given by the problem'}. First seed of each model."
    published = published_section(str(options["problem"]), records, models(options))
    return [
        *([] if published is None else [published]),
        Section("Solution", text + _scalars(problem, records), solution_figure(problem, records)),
        Section("Error", "Found minus reference, on the same points.", error_figure(problem, records)),
    ]


def _trunk(title: str, kind: str, recipe: str, build: trunks.Build) -> Model[Problem]:
    return _as_in_the_recipe(title, recipe, partial(fits.of_equal_size, build), kind=kind, family="equal size")


def _method(title: str, recipe: str, build: trunks.Build = trunks.mlp, **methods: Any) -> Model[Problem]:
    return _as_in_the_recipe(title, recipe, partial(fits.by_adam, build, methods))


def _as_in_the_recipe(
    title: str,
    recipe: str,
    fit: Callable[..., Outcome],
    *,
    kind: str = "classical",
    family: str = "method",
    is_seeded: bool = True,
) -> Model[Problem]:
    """Return a model with a single setting, which its recipe describes."""
    return Model(title, kind, recipe, fit, settings=("as in the recipe",), family=family, is_seeded=is_seeded)


def _scalars(problem: Problem, records: list[Record]) -> str:
    """Describe the trained scalars in words."""
    words = ""
    for name, reference in problem.reference_scalars.items():
        listed = [
            f"{record.model} {record.outcome.extras[name]:.6g} (error {record.outcome.extras[f'{name}_error']:.1e}"
            f"{_state(record, name)})"
            for record in records
            if record.seed == 0 and name in record.outcome.extras
        ]
        words += f" {name}: reference {reference:.8g}; {', '.join(listed)}."
    return words


def _state(record: Record, name: str) -> str:
    """Return the state of an eigenvalue in words, where there is one."""
    state = record.outcome.extras.get(f"{name}_state")
    return "" if state is None else f"; {state}"


TOGETHER = (
    "infinite-well-energy",
    "finite-well",
    "barrier",
    "helmholtz",
    "burgers",
    "allen-cahn",
    "convection",
    "diffusivity",
)
PINN = Task(
    name="pinn",
    title="Physics-informed networks",
    question="How near to the reference does each trunk come, trained on the equations alone, in float64? Trunks of "
    "one size get the same points, exact conditions and steps of Levenberg-Marquardt; methods for a larger network get "
    "the same points, steps of Adam and iterations of L-BFGS, but for those that name another optimiser. The error is "
    "the relative L2 norm.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(3, 1, 3000), "demo": Preset(2, 1, 200)},
    sections=sections,
    options={"problem": tuple(PROBLEMS)},
    groups=GROUPS,
    together=TOGETHER,
    metric=Metric("relative_l2", "Relative L2 error", larger_is_better=False, percent=False),
)
