"""The schemas of the task manager under their documented import path."""

from manager.schemas.reading import RunRead, TaskRead
from manager.schemas.updating import TaskCreate, TaskUpdate

__all__ = ["RunRead", "TaskCreate", "TaskRead", "TaskUpdate"]
