"""What an operator may send: new tasks and changes of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from configurations.fields import Whole
from core.errors import DefinitionError
from manager.schemas.definition import Seconds, Word, problems_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class TaskCreate(BaseModel):
    """A task over a function that a loaded plugin already offers.

    Attributes:
        id: Id of the new task; made from the name where it is left out.
        func_path: ``module:function`` as tasks are listed; looked up, never imported.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Word | None = None
    name: Word
    func_path: Word
    trigger: Annotated[str, Strict()]
    trigger_args: Annotated[dict[str, Any], Strict()]
    enabled: Annotated[bool, Strict()] = True
    max_retries: Annotated[Whole, Field(ge=0, le=1_000)] = 3
    timeout: Seconds | None = 300


class TaskUpdate(BaseModel):
    """A change of a task; what is left out stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Word | None = None
    enabled: Annotated[bool, Strict()] | None = None
    trigger: Annotated[str, Strict()] | None = None
    trigger_args: Annotated[dict[str, Any], Strict()] | None = None
    max_retries: Annotated[Whole, Field(ge=0, le=1_000)] | None = None
    timeout: Seconds | None = None
    priority: Annotated[int, Strict(), Field(ge=-1_000, le=1_000)] | None = None


def parse_update(task_id: str, given: TaskUpdate | Mapping[str, Any]) -> TaskUpdate:
    """Return *given* as a change of *task_id*.

    Raises:
        DefinitionError: it does not validate; every problem is named.
    """
    if isinstance(given, TaskUpdate):
        return given
    try:
        return TaskUpdate.model_validate(dict(given))
    except ValidationError as error:
        raise DefinitionError(f"task {task_id!r}", problems_of(error, given, TaskUpdate)) from None
