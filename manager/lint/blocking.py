"""Calls that block, found in the source of a coroutine function."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from core.definition import innermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PROCESS: Final = "asyncio.create_subprocess_exec()"
_CLIENT: Final = "an asynchronous client, or asyncio.to_thread()"
BLOCKING: Final[Mapping[str, str]] = (
    {
        "time.sleep": "await asyncio.sleep()",
        "input": "no question at all: nobody answers a background task",
        "os.system": _PROCESS,
        "os.popen": _PROCESS,
        "socket.create_connection": "asyncio.open_connection()",
        "urllib.request.urlopen": _CLIENT,
        "urllib.request.urlretrieve": _CLIENT,
        "smtplib.SMTP": _CLIENT,
        "smtplib.SMTP_SSL": _CLIENT,
        "ftplib.FTP": _CLIENT,
    }
    | {
        f"subprocess.{name}": _PROCESS
        for name in ("run", "call", "check_call", "check_output", "getoutput", "getstatusoutput")
    }
    | {
        f"{client}.{verb}": _CLIENT
        for client in ("requests", "httpx")
        for verb in ("get", "post", "put", "patch", "delete", "head", "options", "request")
    }
)
"""Functions that block, and what to use for each."""
_HOMES: Final = {"requests.api": "requests", "httpx._api": "httpx", "posix": "os", "nt": "os"}
"""Modules that a function names as its own, and those that it is imported from."""


class BlockingCall(NamedTuple):
    """A call that blocks the event loop.

    Attributes:
        name: The function by its module.
        line: Its 1-based line in the file.
        instead: What to use for it.
    """

    name: str
    line: int
    instead: str


def blocking_calls(func: Callable[..., Any]) -> list[BlockingCall]:
    """Return the calls in the body of *func* that block; functions inside it are not its body.

    A name is what it stands for in the function's module. Where the source cannot be read, there
    is nothing to find.
    """
    plain = _function(func)
    if plain is None:
        return []
    try:
        lines, start = inspect.getsourcelines(plain)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError, ValueError, RecursionError):
        return []
    if not tree.body or not isinstance(tree.body[0], ast.AsyncFunctionDef):
        return []
    nodes = [each for statement in tree.body[0].body for each in _own(statement)]
    names = _Names(plain, nodes)
    return [
        BlockingCall(name, start + node.lineno - 1, BLOCKING[name])
        for node in nodes
        if isinstance(node, ast.Call) and (name := names.of(node.func)) in BLOCKING
    ]


def _function(func: Callable[..., Any]) -> FunctionType | None:
    """Return the function that runs when *func* is called, inside partials and decorators."""
    inner: Any = innermost(func)
    if not inspect.isroutine(inner):
        inner = getattr(type(inner), "__call__", None)  # noqa: B004 - the method itself is looked at
    try:
        inner = inspect.unwrap(inner)
    except ValueError:  # it wraps itself
        return None
    plain = getattr(inner, "__func__", inner)
    return plain if isinstance(plain, FunctionType) else None


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield *node* and what is in it, but for functions and classes inside."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _own(child)


class _Names:
    """What the names in a function's body stand for."""

    def __init__(self, func: FunctionType, nodes: list[ast.AST]) -> None:
        self._globals = func.__globals__
        self._local: dict[str, str] = dict.fromkeys(func.__code__.co_varnames, "")
        self._local |= dict.fromkeys(func.__code__.co_freevars, "")
        for node in nodes:
            if isinstance(node, ast.Import):
                for each in node.names:
                    bound = each.asname or each.name.partition(".")[0]
                    self._local[bound] = each.name if each.asname else bound
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for each in node.names:
                    self._local[each.asname or each.name] = f"{node.module}.{each.name}"

    def of(self, node: ast.expr) -> str:
        """Return ``time.sleep`` for ``sleep`` or ``t.sleep``; nothing where it is unknown."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        root = self._root(node.id) if isinstance(node, ast.Name) else ""
        return ".".join([root, *parts]) if root else ""

    def _root(self, name: str) -> str:
        if name in self._local:
            return self._local[name]
        if name not in self._globals:
            return name if name == "input" else ""
        value = self._globals[name]
        if isinstance(value, ModuleType):
            return value.__name__
        if not inspect.isroutine(value) and not isinstance(value, type):
            return ""
        module, own = getattr(value, "__module__", None), getattr(value, "__name__", None)
        return f"{_HOMES.get(str(module), module)}.{own}"
