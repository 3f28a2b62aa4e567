"""The domain of Taskrack: tasks, triggers, runs, policies, hooks; no input and no output."""

from core.definition import TaskDefinition
from core.errors import TaskrackError
from core.hookspecs import hookimpl
from core.policy import CatchUp, Delivery, Overlap
from core.run import Cause, Reason, Run, RunState, TaskState

__all__ = [
    "CatchUp",
    "Cause",
    "Delivery",
    "Overlap",
    "Reason",
    "Run",
    "RunState",
    "TaskDefinition",
    "TaskState",
    "TaskrackError",
    "hookimpl",
]
