"""Physics-informed networks: differential equations solved by any module as a trunk. They know no circuits."""

from qml.jets.jet import Jet, JetError
from qml.pinn.conditions import Condition, Face, Integral, Interface, Observations, Periodic
from qml.pinn.domain import Box
from qml.pinn.edges import EdgeJets
from qml.pinn.eigenvalues.states import State, StateWarning
from qml.pinn.model import Pinn
from qml.pinn.problem import Problem
from qml.pinn.problems import PROBLEMS, find_problem
from qml.pinn.recipes.catalogue import RECIPES, Recipe, odd_half, recipe_of, with_exact_faces, with_weight
from qml.pinn.recipes.cavity import CavityRecipe, ClampedSeries
from qml.pinn.recipes.fourier import FourierRecipe
from qml.pinn.recipes.separable import SeparableRecipe
from qml.pinn.recipes.windows import WINDOW_RECIPES, SineWindowRecipe, WindowRecipe
from qml.pinn.solvers.bandit import GaussianBandit, regret, run_bandit
from qml.pinn.solvers.deeponet import DeepONet, OperatorData, operator_error, reaction_diffusion, train_operator
from qml.pinn.solvers.discovery import Polynomial, WithTerm, differences_formula, sparse_regression, term_formula
from qml.pinn.solvers.feynman_kac import FeynmanKac
from qml.pinn.solvers.hypernetwork import HyperNetwork, RefinedSolution, solve_by_hypernetwork, train_hypernetwork
from qml.pinn.solvers.kalman import pinn_residuals, train_by_kalman
from qml.pinn.solvers.lagrangian import in_frame_at_rest, lagrangian_convection
from qml.pinn.solvers.linear_family import LinearFamily
from qml.pinn.solvers.process import ProcessSolution, SpectralKernel, solve_by_process
from qml.pinn.solvers.slabs import Slabs, train_in_slabs
from qml.pinn.solvers.tasks import TaskSolution, train_tasks, weighted_tasks
from qml.pinn.solvers.uncertainty import BayesianPosterior, PinnEnsemble, bayesian_posterior, resampled, train_ensemble
from qml.pinn.solvers.windows import Windows, train_in_windows
from qml.pinn.training.methods import Annealing, Causal, Curriculum, Geodesic, Holdout, Polish, Resampling
from qml.pinn.training.options import DivergenceError, Training
from qml.pinn.training.progress import LiveTraining
from qml.pinn.training.second_order import Momentum, Orthogonal, Probing, RowSketch
from qml.pinn.training.train import Solution, relative_l2, train
from qml.pinn.trunks.attention import AttentionTrunk
from qml.pinn.trunks.composed import GaussianFeatures, LSTMTrunk, Pieces
from qml.pinn.trunks.dense import MLP, FourierFeatures, ModifiedMLP
from qml.pinn.trunks.separable import Separable

__all__ = [
    "MLP",
    "PROBLEMS",
    "RECIPES",
    "WINDOW_RECIPES",
    "Annealing",
    "AttentionTrunk",
    "BayesianPosterior",
    "Box",
    "Causal",
    "CavityRecipe",
    "ClampedSeries",
    "Condition",
    "Curriculum",
    "DeepONet",
    "DivergenceError",
    "EdgeJets",
    "Face",
    "FeynmanKac",
    "FourierFeatures",
    "FourierRecipe",
    "GaussianBandit",
    "GaussianFeatures",
    "Geodesic",
    "Holdout",
    "HyperNetwork",
    "Integral",
    "Interface",
    "Jet",
    "JetError",
    "LSTMTrunk",
    "LinearFamily",
    "LiveTraining",
    "ModifiedMLP",
    "Momentum",
    "Observations",
    "OperatorData",
    "Orthogonal",
    "Periodic",
    "Pieces",
    "Pinn",
    "PinnEnsemble",
    "Polish",
    "Polynomial",
    "Probing",
    "Problem",
    "ProcessSolution",
    "Recipe",
    "RefinedSolution",
    "Resampling",
    "RowSketch",
    "Separable",
    "SeparableRecipe",
    "SineWindowRecipe",
    "Slabs",
    "Solution",
    "SpectralKernel",
    "State",
    "StateWarning",
    "TaskSolution",
    "Training",
    "WindowRecipe",
    "Windows",
    "WithTerm",
    "bayesian_posterior",
    "differences_formula",
    "find_problem",
    "in_frame_at_rest",
    "lagrangian_convection",
    "odd_half",
    "operator_error",
    "pinn_residuals",
    "reaction_diffusion",
    "recipe_of",
    "regret",
    "relative_l2",
    "resampled",
    "run_bandit",
    "solve_by_hypernetwork",
    "solve_by_process",
    "sparse_regression",
    "term_formula",
    "train",
    "train_by_kalman",
    "train_ensemble",
    "train_hypernetwork",
    "train_in_slabs",
    "train_in_windows",
    "train_operator",
    "train_tasks",
    "weighted_tasks",
    "with_exact_faces",
    "with_weight",
]
