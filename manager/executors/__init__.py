"""Where functions are called: threads and an event loop."""

from manager.executors.loop import LoopExecutor
from manager.executors.threads import ThreadExecutor

__all__ = ["LoopExecutor", "ThreadExecutor"]
