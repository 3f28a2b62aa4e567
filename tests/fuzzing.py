"""What fuzz tests share: values that nobody would expect, and a limit of patience."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Final = 1.0  # seconds of the processor for one input
LONGEST_PROBLEM: Final = 800
FUZZ: Final = settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Nasty:
    """An object of which every question raises."""

    def _raise(self, *_: object) -> NoReturn:
        raise RuntimeError("no")

    __repr__ = __str__ = __hash__ = __eq__ = __bool__ = __len__ = __iter__ = _raise
    __getattr__ = __int__ = __float__ = __index__ = __lt__ = __contains__ = __format__ = _raise


class NastyText(str):
    """A text that cannot be shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise RuntimeError("no str")


class NastyDict(dict[str, Any]):
    """A dict whose items cannot be had."""

    def items(self) -> NoReturn:
        raise RuntimeError("no items")

    def __iter__(self) -> NoReturn:
        raise RuntimeError("no keys")


class Callable:
    """An object that can be called, with a docstring that is no text."""

    def __call__(self) -> None:
        """Do nothing."""


def plain() -> None:
    """Do nothing."""


async def coroutine() -> None:
    """Do nothing."""


def odd_docstring() -> None:
    pass


def odd_name() -> None:
    """Do nothing."""


odd_docstring.__doc__ = "\ud800 first line\nsecond"
odd_name.__qualname__ = "\udfff"


def nested(depth: int) -> dict[str, Any]:
    """Return dicts inside each other, so many deep."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"x": value}
    return value


def looped() -> list[Any]:
    """Return a list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


CALLABLES: Final[tuple[Any, ...]] = (
    *(plain, coroutine, odd_docstring, odd_name, print, len, dict, int, type, Callable, Callable()),
    *(partial(plain), partial(print, 1), lambda: None, [].append, "".join, Nasty.__init__),
    *(property, classmethod, staticmethod(plain), partial(partial(coroutine)), BaseException),
)
ODD_TEXTS: Final = (
    *("", " ", "\x00", "a\x00b", "\n", "\ud800", "x" * 10_000, "\x1b[31m", "\u202eevil", "💥"),
    *("9" * 5_000, "-1", "1e999", "nan", "None", "*", "*/0", "1-0", "*/99999999999999", "L", "?"),
    *("last mon", "6th fri", "mon-sun", "sun-mon", "1,2,,3", ",", "٣", "²", "0x10", "1_0", "+1"),
    *("2026-02-30", "0000-00-00", "9999-12-31 23:59:59", "10000-01-01", "2026-13-01", "T", "Z"),
    *("2026-01-01T00:00:00+99:99", "0001-01-01 00:00:00", "2026-W54-1", "../../etc/passwd", "/"),
    *("Europe/Nowhere", "../UTC", "/etc/localtime", "UTC\x00", "posixrules", "a" * 300, "Europe"),
)
ODD_NUMBERS: Final = (
    *(0, -1, 1, 2, 53, 366, 10**9, 10**18, 2**63, 2**64, 10**400, -(10**400), 10**5_000),
    *(0.0, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), 1 + 2j, 0.01, 1e-9),
)
ODD_OBJECTS: Final[tuple[Any, ...]] = (
    *(None, True, False, b"bytes", bytearray(b"x"), object(), Nasty(), Nasty, NastyText("x")),
    *(NastyDict(a=1), range(3), {1, 2}, frozenset({"a"}), (1, 2), [[[]]], ..., NotImplemented),
    *(datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), timedelta(1), timedelta.max),
    *(datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), memoryview(b"x")),
    *({1: 2}, {None: 1}, {("a",): 1}, {"\ud800": "\ud800"}, nested(50), nested(5_000), looped()),
)
anything: Final = st.one_of(
    st.sampled_from([*ODD_TEXTS, *CALLABLES]),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(range(len(ODD_OBJECTS))).map(ODD_OBJECTS.__getitem__),
    st.builds(lambda: (each for each in (1, 2))),
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.integers(),
    st.floats(),
    st.lists(st.integers(-5, 70), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)


@contextmanager
def patient() -> Iterator[None]:
    """Fail what takes this thread more than a second of the processor."""
    before = time.thread_time()
    yield
    spent = time.thread_time() - before
    assert spent < PATIENCE, f"took {spent:.1f} s"


def is_key(value: object) -> bool:
    """Tell whether *value* can be the key of a dict."""
    try:
        hash(value)
    except (TypeError, RuntimeError):
        return False
    return True
