"""Quantum models beside classical ones: the same data, parameter and tuning budget, whoever wins."""

from qml.compare.engine import ComparisonPlan, Listener, choose_subjects, make_plan, require_folder, run_plan
from qml.compare.progress import LiveProgress
from qml.compare.registry import TASKS, find_task
from qml.compare.report import write_report
from qml.compare.statistics import estimate_mean, summarise
from qml.compare.table import result_table, verdict
from qml.compare.task import Metric, Model, Outcome, Preset, Record, Section, Task

__all__ = [
    "TASKS",
    "ComparisonPlan",
    "Listener",
    "LiveProgress",
    "Metric",
    "Model",
    "Outcome",
    "Preset",
    "Record",
    "Section",
    "Task",
    "choose_subjects",
    "estimate_mean",
    "find_task",
    "make_plan",
    "require_folder",
    "result_table",
    "run_plan",
    "summarise",
    "verdict",
    "write_report",
]
