"""Where functions are called: threads, an event loop, child processes."""

from manager.executors.children.kernel import CAN_FORK
from manager.executors.loop import LoopExecutor
from manager.executors.processes import ProcessExecutor
from manager.executors.threads import ThreadExecutor

__all__ = ["CAN_FORK", "LoopExecutor", "ProcessExecutor", "ThreadExecutor"]
