"""The life of a run: from due to done, through crashes, retries and shutdown."""

from manager.engine.context import RunContext, current_run
from manager.engine.engine import Engine
from manager.engine.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "RunContext", "current_run"]
