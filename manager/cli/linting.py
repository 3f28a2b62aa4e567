"""``lint``: what is valid in the definitions of a project, and probably not meant."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.clock import SystemClock
from core.errors import UnknownTaskError
from core.registry import nearest
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import clean, counted, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.definition import TaskDefinition
    from manager.lint import Finding, RuleChoice
    from manager.task.inspection import Inspection

Codes = list[str]


def lint(
    *,
    select: Annotated[
        Codes | None, typer.Option("--select", help="Only these codes: TR104, or a group: TR1.")
    ] = None,
    ignore: Annotated[
        Codes | None, typer.Option("--ignore", help="Not these codes; TR104:ID for one task.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let notes fail, too.")] = False,
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """Look for what is valid and probably not meant; exit 1 on a warning or an error."""
    from manager.container import Manager, plugins_of  # noqa: PLC0415 - as for check
    from manager.lint import RuleChoice, is_in_order  # noqa: PLC0415 - the same
    from manager.lint import lint as linted  # noqa: PLC0415 - the same
    from manager.lint.linting import RuleChoiceError  # noqa: PLC0415 - the same
    from manager.task.inspection import inspect  # noqa: PLC0415 - the same

    try:
        choice = RuleChoice.parse(select or (), ignore or ())
    except RuleChoiceError as error:
        raise typer.BadParameter(str(error)) from None
    chosen, clock = settings(config), SystemClock()
    manager = Manager(chosen, default=False)
    found = inspect(chosen, plugins_of(chosen), manager.task_manager, clock)
    definitions = [definition for definition, _ in found.tasks]
    _check_ids(choice, definitions)
    findings = linted(
        definitions, config=chosen, now=clock.now(), choice=choice, plugged=found.triggers
    )
    ok = found.is_sound and is_in_order(findings, strict=strict)
    if json:
        print_json(_as_json(ok, found, findings))
    else:
        _tell(found, findings)
    if not ok:
        raise typer.Exit(1)


def _check_ids(choice: RuleChoice, definitions: Sequence[TaskDefinition]) -> None:
    known = [definition.id for definition in definitions]
    for _, task_id in choice.ignore_for:
        if task_id not in known:
            raise UnknownTaskError(task_id, nearest(task_id, known))


def _tell(found: Inspection, findings: Sequence[Finding]) -> None:
    for finding in findings:
        typer.echo(clean(str(finding)))
    for plugin in found.plugins:
        for problem in plugin.problems:
            typer.echo(clean(str(problem)), err=True)
    counts = [
        counted(sum(each.severity == word for each in findings), word)
        for word in ("error", "warning", "note")
        if any(each.severity == word for each in findings)
    ]
    verdict = ", ".join(counts) or "nothing found"
    typer.echo(f"{counted(len(found.tasks), 'task')}: {verdict}")


def _as_json(ok: bool, found: Inspection, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "ok": ok,
        "tasks": len(found.tasks),
        "findings": [asdict(finding) for finding in findings],
        "plugins": found.plugins,
    }
