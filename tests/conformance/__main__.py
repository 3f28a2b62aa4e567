"""Writes the corpus and the page about it: ``python -m tests.conformance``."""

from __future__ import annotations

from tests.conformance.oracle import answered
from tests.conformance.page import PAGE, page
from tests.conformance.questions import questions
from tests.conformance.rows import write

if __name__ == "__main__":
    answers = (answered(question) for question in questions())
    write(row for row in answers if row.due or row.is_all)
    PAGE.write_text(page(), encoding="utf-8")
