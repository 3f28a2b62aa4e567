"""The rows of the corpus: a schedule, where and when it is asked, and when it is due.

One row a line of ``corpus.tsv``: zone, dialect, dst, the instant from which on is asked, the
schedule (a cron string, or fields as JSON), and the occurrences later than that instant. A point
behind them says that there are no more; otherwise there are, and the row is silent about them.
Instants are UTC; a line is thus understood by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.conformance.meaning import Meaning, of_cron, of_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

CORPUS: Final = Path(__file__).with_name("corpus.tsv")
CRON: Final = "cron"
FIELDS: Final = "fields"
_COLUMNS: Final = ("zone", "dialect", "dst", "from", "schedule", "due")
_END: Final = "."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        zone: IANA name.
        dialect: ``cron`` or ``fields``.
        dst: ``once``, ``both`` or ``skip``.
        start: The instant from which on is asked; it is itself left out.
        schedule: A cron string, or the fields as JSON.
    """

    zone: str
    dialect: str
    dst: str
    start: datetime
    schedule: str

    def __str__(self) -> str:
        return "\t".join((self.zone, self.dialect, self.dst, stamp(self.start), self.schedule))

    @property
    def arguments(self) -> dict[str, int | str]:
        """The schedule as ``trigger_args`` has it."""
        if self.dialect == CRON:
            return {"expression": self.schedule}
        fields: dict[str, int | str] = json.loads(self.schedule)
        return fields

    @property
    def meaning(self) -> Meaning:
        """What the schedule names, by plain definition."""
        if self.dialect == CRON:
            return of_cron(self.schedule)
        return of_fields(self.arguments)


@dataclass(frozen=True, slots=True)
class Row:
    """A question and its answer.

    Attributes:
        question: What is asked.
        due: The first occurrences.
        is_all: Whether there are no more.
    """

    question: Question
    due: tuple[datetime, ...]
    is_all: bool

    def __str__(self) -> str:
        return f"{self.question}\t{shown(self.due, is_all=self.is_all)}"


def shown(due: Iterable[datetime], *, is_all: bool = False) -> str:
    """Return occurrences as a row has them."""
    return " ".join([*map(stamp, due), *([_END] if is_all else [])])


def stamp(instant: datetime) -> str:
    """Return an instant as short as it can be told."""
    exact = instant.isoformat(timespec="seconds").removesuffix("+00:00")
    return f"{exact.removesuffix(':00')}Z"


def rows() -> list[Row]:
    """Return the rows of the corpus."""
    _, *lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return [_row(line) for line in lines]


def write(all_rows: Iterable[Row]) -> None:
    """Write the corpus anew."""
    lines = ["\t".join(_COLUMNS), *map(str, all_rows)]
    CORPUS.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _row(line: str) -> Row:
    zone, dialect, dst, start, schedule, due = line.split("\t")
    words = due.split()
    instants = tuple(_instant(word) for word in words if word != _END)
    question = Question(zone, dialect, dst, _instant(start), schedule)
    return Row(question, instants, words[-1:] == [_END])


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
