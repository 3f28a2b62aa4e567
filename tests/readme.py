"""Runs what the README shows and pastes what was printed: ``python -m tests.readme``."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from configurations import ManagerConfig
from core import hookspecs

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
_NIGHTLY = ("preview", "30 2 * * *", "--timezone", "Europe/Berlin")
_PREVIEW = (*_NIGHTLY, "--after", "2027-03-27", "--count", "3")
_SAME = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "RUN"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?"), "TIME"),
    (re.compile(r"\((?:in )?[\d.]+ (?:s|min|h|d)(?: ago)?\)"), "(AGO)"),
    (re.compile(r"\bin \d+ (?:min|s)(?: \d+ s)?"), "AHEAD"),
    (re.compile(r"\d+\.\d+ s"), "SECONDS"),
    (re.compile(r" {2,}"), "  "),
)


def block(name: str, text: str) -> str:
    """Return the code of the block that is marked with *name*."""
    found = re.search(rf"<!-- {re.escape(name)} -->\n```\w*\n(.*?)```", text, re.DOTALL)
    if found is None:
        raise LookupError(f"README.md has no block marked {name!r}")
    return found.group(1)


def project(folder: Path, text: str) -> None:
    """Make the project that the README's reader has."""
    plugin = folder / "backgroundtask" / "mine" / "taskplugins.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(block("run: plugin", text), encoding="utf-8")
    (folder / "config.json").write_text('{"loggers": {"enable_file": false}}', encoding="utf-8")


def taskrack(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the command in *folder*, without the variables of the caller."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKRACK_")}
    return subprocess.Popen(
        [sys.executable, "-m", "manager", *words],
        cwd=folder,
        env=kept | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def printed(folder: Path) -> dict[str, str]:
    """Return what ``run`` and ``runs`` print in *folder*, times and ids made equal."""
    running = taskrack(folder, "run")
    if running.stdout is None:
        raise AssertionError
    lines: list[str] = []
    for line in running.stdout:
        lines.append(line)
        if "completed in" in line:
            break
    told = taskrack(folder, "runs").communicate(timeout=30)[0]
    when = taskrack(folder, *_PREVIEW).communicate(timeout=30)[0]
    why = taskrack(folder, "explain", "count_orders").communicate(timeout=30)[0]
    running.send_signal(signal.SIGINT)
    rest = running.communicate(timeout=30)[0]
    table = [line for line in lines if " | " not in line]
    logged = [line for line in lines if " | " in line]
    first = "".join([*table, *logged, rest])
    outputs = {"output: run": first, "output: runs": told}
    outputs |= {"output: preview": when, "output: explain": why}
    return {name: text.replace(str(folder), "/srv/shop") for name, text in outputs.items()}


def tables() -> dict[str, str]:
    """Return the tables of settings and hooks, from the code."""
    defaults = ManagerConfig().model_dump()
    settings = [
        f"| `{name}` | `{json.dumps(defaults[name])}` | {field.description} |"
        for name, field in ManagerConfig.model_fields.items()
        if "without effect" not in (field.description or "").lower()
    ]
    hooks = [
        f"| `{name}{inspect.signature(hook).replace(return_annotation=inspect.Signature.empty)}` "
        f"| {(inspect.getdoc(hook) or '').splitlines()[0]} |"
        for name, hook in vars(hookspecs).items()
        if name.startswith("taskrack_")
    ]
    hooks = [re.sub(r": '?\w+'?(?=[,)])", "", line) for line in hooks]
    return {
        "table: manager": "\n".join(["| key | default | meaning |", "|---|---|---|", *settings]),
        "table: hooks": "\n".join(["| hook | promise |", "|---|---|", *hooks]),
    }


def renewed(text: str, folder: Path) -> str:
    """Return *text* with every output and table as the code gives it now."""
    project(folder, text)
    for name, output in printed(folder).items():
        known = block(name, text)
        if same(known) != same(output):
            text = text.replace(f"<!-- {name} -->\n```text\n{known}", _opened(name) + output)
    for name, table in tables().items():
        pattern = rf"(<!-- {name} -->\n)(?:\|[^\n]*\n)+"
        head = re.search(pattern, text)
        if head is None:
            raise LookupError(f"README.md has no table marked {name!r}")
        text = text.replace(head[0], f"{head[1]}{table}\n")
    return text


def same(text: str) -> str:
    """Return *text* with what differs from run to run made equal."""
    for pattern, sign in _SAME:
        text = pattern.sub(sign, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def _opened(name: str) -> str:
    return f"<!-- {name} -->\n```text\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        README.write_text(renewed(README.read_text(encoding="utf-8"), Path(scratch)), "utf-8")
