"""The table of problems. A new problem is a function that returns it, and one line here."""

from collections.abc import Callable
from functools import partial

from circuits.lazy import suggestion
from qml.pinn.problem import Problem
from qml.pinn.problems.cavity import cavity, cavity_stream, cavity_stream_1000
from qml.pinn.problems.cylinder import cylinder
from qml.pinn.problems.dispersive import korteweg_de_vries, kuramoto_sivashinsky, kuramoto_sivashinsky_chaotic
from qml.pinn.problems.electrothermal import electrothermal
from qml.pinn.problems.evolution import (
    advection_diffusion,
    allen_cahn,
    burgers,
    convection,
    damped_wave,
    diffusivity,
    fisher_kpp,
    heat,
    klein_gordon,
    lorenz,
)
from qml.pinn.problems.flows import kovasznay, poiseuille, poisson_multiscale, poisson_waves, taylor_green
from qml.pinn.problems.high_frequency import helmholtz_waves
from qml.pinn.problems.inverse_flow import carried_vortices
from qml.pinn.problems.many_dimensions import poisson_cosines, poisson_harmonic
from qml.pinn.problems.pinnacle import pinnacle_heat, pinnacle_poisson, pinnacle_wave
from qml.pinn.problems.pinnacle_cavity import pinnacle_cavity
from qml.pinn.problems.pinnacle_heat_long import pinnacle_heat_long
from qml.pinn.problems.power import swing
from qml.pinn.problems.radial import radial_diffusivity
from qml.pinn.problems.steady import helmholtz, poisson, poisson_2d
from qml.pinn.problems.traffic import traffic
from qml.pinn.problems.unknown_reaction import unknown_reaction
from qml.pinn.problems.wells import barrier, finite_well, finite_well_states, infinite_well, oscillator
from qml.pinn.solvers.lagrangian import lagrangian_convection

PROBLEMS: dict[str, Callable[[], Problem]] = {
    "infinite-well": infinite_well,
    "infinite-well-energy": partial(infinite_well, find_energy=True),
    "finite-well": finite_well,
    "finite-well-states": finite_well_states,
    "barrier": barrier,
    "oscillator": oscillator,
    "poisson": poisson,
    "poisson-2d": poisson_2d,
    "poisson-waves": poisson_waves,
    "poisson-multiscale": poisson_multiscale,
    "poisson-5d": poisson_cosines,
    "harmonic-10d": poisson_harmonic,
    "helmholtz": helmholtz,
    "klein-gordon": klein_gordon,
    "heat": heat,
    "damped-wave": damped_wave,
    "burgers": burgers,
    "allen-cahn": allen_cahn,
    "kdv": korteweg_de_vries,
    "ks": kuramoto_sivashinsky,
    "ks-chaotic": kuramoto_sivashinsky_chaotic,
    "convection": convection,
    "convection-lagrangian": lagrangian_convection,
    "advection-diffusion": advection_diffusion,
    "fisher-kpp": fisher_kpp,
    "diffusivity": diffusivity,
    "radial-diffusivity": radial_diffusivity,
    "swing": swing,
    "unknown-reaction": unknown_reaction,
    "traffic": traffic,
    "lorenz": lorenz,
    "kovasznay": kovasznay,
    "taylor-green": taylor_green,
    "carried-vortices": carried_vortices,
    "poiseuille": poiseuille,
    "cylinder": cylinder,
    "electrothermal": electrothermal,
    "helmholtz-waves": helmholtz_waves,
    "pinnacle-wave": pinnacle_wave,
    "pinnacle-heat": pinnacle_heat,
    "pinnacle-heat-long": pinnacle_heat_long,
    "pinnacle-poisson": pinnacle_poisson,
    "pinnacle-cavity": pinnacle_cavity,
    "cavity": cavity,
    "cavity-stream": cavity_stream,
    "cavity-stream-1000": cavity_stream_1000,
}


GROUPS: dict[str, tuple[str, ...]] = {
    "pinnacle": (
        "burgers",
        "pinnacle-poisson",
        "pinnacle-wave",
        "pinnacle-heat",
        "pinnacle-heat-long",
        "pinnacle-cavity",
        "ks-chaotic",
    ),
}
"""Problems by a name that stands for all of them on the command line: those of a benchmark."""


def find_problem(name: str) -> Problem:
    """Return the problem called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if not isinstance(name, str) or name not in PROBLEMS:
        meant = suggestion(str(name), PROBLEMS)
        raise ValueError(f"Argument `problem` must be one of {', '.join(PROBLEMS)}, but is {name!r}.{meant}")
    return PROBLEMS[name]()
