"""Each rule of lint: what provokes it, and a near miss in which it stays silent."""

from __future__ import annotations

from functools import partial
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from core.clock import SystemClock
from manager.lint import RULES, RuleChoice, Severity, is_in_order
from manager.lint.linting import RuleChoiceError
from tests.linting import cron, fields, findings, plain, waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

BERLIN: Final = "Europe/Berlin"
MINUTELY: Final = {"trigger_args": {"minutes": 1}}
Tasks = list[dict[str, Any]]


class Case(NamedTuple):
    """One rule: the tasks that provoke it, what it says, tasks that do not, and the settings."""

    tasks: Tasks
    said: str
    silent: Tasks
    config: Mapping[str, Any] = MappingProxyType({})


def at_nine(count: int) -> Tasks:
    return [cron("0 9 * * *", kwargs={"limit": number}) for number in range(count)]


CASES: Final[dict[str, list[Case]]] = {
    "TR101": [
        Case(
            [fields(year=2030)],
            "is not due before 2030-01-01",
            [fields(year=2027), cron("0 0 1 6 *"), {"enabled": False, **fields(year=2030)}],
        ),
        Case([fields(year=2020)], "has no occurrence left", [fields(year=2026, month=12)]),
    ],
    "TR102": [
        Case(
            [cron("0 0 13 * 5")],
            "at 00:00 on day 13 of the month or on Friday",
            [
                cron("0 0 13 * *"),
                cron("0 0 ? * 5"),
                cron("0 0 */2 * 5"),
                fields(day=13, day_of_week="fri"),
            ],
        )
    ],
    "TR103": [
        Case(
            [fields(day_of_week="1-5", hour=9)],
            "'1-5', in which 1 is Tuesday (0 is Monday)",
            [
                fields(day_of_week="mon-fri"),
                fields(day_of_week="0-6"),
                fields(day_of_week="*/2"),
                cron("0 9 * * 1-5"),
            ],
        )
    ],
    "TR104": [
        Case(
            [cron("30 2 * * *", timezone=BERLIN)],
            "repeats on 2026-10-25 (02:00 to 03:00) and skips on 2027-03-28 (02:00 to 03:00)",
            [
                cron("30 2 * * *"),
                cron("0 3 * * *", timezone=BERLIN),
                cron("30 2 * * *", timezone=BERLIN, dst="once"),
                cron("30 2 * 7 *", timezone=BERLIN),
                cron("*/30 * * * *", timezone=BERLIN),
                cron("30 1-3 * * mon", timezone=BERLIN),
            ],
        ),
        Case(
            [cron("*/10 2 * * *", timezone=BERLIN)],
            "skips on 2027-03-28",
            [cron("*/10 2,3 * * *", timezone=BERLIN)],
        ),
        Case(
            [cron("30 23 * * *", timezone="Africa/Cairo")],
            "2026-10-29 (23:00 to 00:00)",
            [cron("30 22 * * *", timezone="Africa/Cairo")],
        ),
    ],
    "TR105": [
        Case(
            [cron("*/7 * * * *")],
            "ends at 56 and begins anew each hour: the last step of an hour is 4 minutes",
            [cron("*/15 * * * *"), cron("0,7,14 * * * *"), fields(hour="*/6")],
        ),
        Case([fields(hour="*/5")], "hour '*/5', which ends at 20", [fields(hour="*/8")]),
        Case(
            [cron("*/90 * * * *")], "names 0 only: it begins anew each hour", [cron("*/30 * * * *")]
        ),
        Case([cron("0 0 */2 * *")], "where the month has 31 days", [cron("0 0 1 */3 *")]),
    ],
    "TR106": [
        Case(
            [cron("0 0 31 * *")],
            "day 31, which February, April, June, September and November do not have",
            [
                cron("0 0 31 1,3 *"),
                cron("0 0 28 * *"),
                cron("0 0 L * *"),
                cron("0 0 25-31 * *"),
                fields(day="last"),
            ],
        ),
        Case(
            [cron("0 0 29 2 *")],
            "February does not have (but in a leap year)",
            [cron("0 0 29 3 *")],
        ),
        Case([fields(day="15,30")], "day 30, which February does not have", [fields(day="15,28")]),
    ],
    "TR107": [
        Case(
            [{"trigger": "date", "trigger_args": {"run_date": "2026-06-30"}}],
            "which has passed",
            [
                {"trigger": "date", "trigger_args": {"run_date": "2026-07-02"}},
                {"trigger": "date", "trigger_args": {"run_date": "2026-06-30"}, "enabled": False},
            ],
        )
    ],
    "TR108": [
        Case(
            [
                {
                    "trigger": "date",
                    "trigger_args": {"run_date": "2027-03-28 02:30"},
                    "timezone": BERLIN,
                }
            ],
            "is due 2027-03-28 02:30, which Europe/Berlin skips: 2027-03-28 (02:00 to 03:00)",
            [
                {
                    "trigger": "date",
                    "trigger_args": {"run_date": "2027-03-28 03:00"},
                    "timezone": BERLIN,
                },
                {
                    "trigger": "date",
                    "trigger_args": {"run_date": "2027-03-28T02:30+01:00"},
                    "timezone": BERLIN,
                },
                {"trigger": "date", "trigger_args": {"run_date": "2027-03-28 02:30"}},
            ],
        ),
        Case(
            [
                {
                    "trigger": "date",
                    "trigger_args": {"run_date": "2026-10-25 02:30"},
                    "timezone": BERLIN,
                }
            ],
            "Europe/Berlin shows twice",
            [],
        ),
    ],
    "TR201": [
        Case(
            [{"trigger_args": {"seconds": 1.5}}],
            "is due every 1.5 s",
            [{"trigger_args": {"seconds": 2}}],
        )
    ],
    "TR202": [
        Case(
            [{**MINUTELY, "timeout": 61}],
            "may run for 61 s, and is due again after 1 min",
            [{**MINUTELY, "timeout": 60}, {**MINUTELY, "timeout": 61, "overlap": "allow"}],
        )
    ],
    "TR203": [
        Case(
            [{**MINUTELY, "timeout": 90, "overlap": "queue"}],
            "may run for 90 s, and is due every 1 min",
            [
                {**MINUTELY, "timeout": 60, "overlap": "queue"},
                {**MINUTELY, "timeout": 90},
                cron("0,1 9 * * *", timeout=90, overlap="queue"),
            ],
        ),
        Case([{**MINUTELY, "timeout": None, "overlap": "queue"}], "may run without a limit", []),
    ],
    "TR204": [Case([{"misfire_grace_time": 1}], "of 1 s", [{"misfire_grace_time": 2}])],
    "TR205": [
        Case(
            [{**MINUTELY, "misfire_grace_time": 300}],
            "of 5 min, and is due every 1 min",
            [{**MINUTELY, "misfire_grace_time": 60}],
        )
    ],
    "TR206": [
        Case(
            [{"trigger_args": {"minutes": 10}, "catch_up": "all"}],
            "is due 144 times in 24 hours",
            [{"trigger_args": {"minutes": 15}, "catch_up": "all"}, MINUTELY],
        )
    ],
    "TR207": [
        Case(
            [{"trigger_args": {"seconds": 6}, "max_retries": 3}],
            "may pause for 7 s between its 4 attempts, and is due again after 6 s",
            [
                {"trigger_args": {"seconds": 7}, "max_retries": 3},
                {"trigger_args": {"seconds": 6}, "max_retries": 3, "overlap": "allow"},
            ],
        )
    ],
    "TR208": [
        Case(
            [{"delivery": "at_most_once"}],
            "max_retries 3",
            [{"delivery": "at_most_once", "max_retries": 0}, {"max_retries": 3}],
        )
    ],
    "TR209": [
        Case(
            [{"retry": {"delay": 90, "max_delay": 60}}],
            "retry.delay of 90 s, and a retry.max_delay of 1 min",
            [{"retry": {"delay": 90}}, {"retry": {"delay": 60, "max_delay": 60}}],
        ),
        Case(
            [{"retry": {"backoff": [1, 90], "max_delay": 60}}],
            "has a retry.backoff of 90 s",
            [{"retry": {"backoff": [1, 60], "max_delay": 60}}],
        ),
    ],
    "TR210": [
        Case(
            [{"retry": {"delay": 2}, "max_retries": 0}],
            "max_retries 0",
            [{"retry": {"delay": 2}, "max_retries": 1}, {"max_retries": 0}],
        )
    ],
    "TR211": [
        Case(
            [{"max_retries": 5}],
            "asks for 5 retries, which manager.auto_restart_tasks denies",
            [{}, {"max_retries": 0}],
            {"manager": {"auto_restart_tasks": False}},
        ),
    ],
    "TR212": [
        Case(
            [{"retry": {"retry_on": ["OSError", "ValueError"], "never_on": ["OSError"]}}],
            "names OSError under",
            [{"retry": {"retry_on": ["OSError"], "never_on": ["FileNotFoundError"]}}],
        )
    ],
    "TR213": [
        Case(
            [{"retry": {"retry_on": ["TimoutError"]}}],
            "'TimoutError' in retry, which is nearly 'TimeoutError'",
            [{"retry": {"retry_on": ["TimeoutError", "HTTPError", "shop.TimoutError"]}}],
        )
    ],
    "TR301": [
        Case(
            [{"enabled": False, "run_on_start": True}],
            "has run_on_start, and is disabled",
            [{"run_on_start": True}, {"enabled": False}],
        )
    ],
    "TR302": [
        Case(
            [{"trigger": "date", "trigger_args": {"run_date": "2027-01-01"}, "run_on_start": True}],
            "is due once at 2027-01-01 00:00, UTC, and also at each start",
            [{"run_on_start": True}],
        )
    ],
    "TR303": [
        Case(
            [{"timeout": None}],
            "timeout None",
            [{"timeout": None, "func": waiting}, {"timeout": 9}],
        )
    ],
    "TR304": [
        Case(
            [{"overlap": "replace"}], "overlap 'replace'", [{"overlap": "replace", "func": waiting}]
        )
    ],
    "TR306": [
        Case(
            [{"args": [1, 2]}],
            "gives tests.linting:plain arguments that it does not take: too many",
            [{"args": [1]}, {"kwargs": {"limit": 3}}, {"func": partial(plain, 1)}],
        ),
        Case([{"kwargs": {"extent": 1}}], "unexpected keyword argument 'extent'", [{}]),
    ],
    "TR401": [
        Case(
            [cron("0 9 * * 1-5"), fields(hour=9, day_of_week="mon-fri")],
            "has the function, the arguments and the schedule of task 't0'",
            [
                cron("0 9 * * *"),
                cron("1 9 * * *"),
                cron("0 9 * * *", args=[2]),
                cron("0 9 * * *", func=waiting),
                cron("0 9 * * *", enabled=False),
            ],
        )
    ],
    "TR402": [
        Case(
            [{}, {"task_id": "T0"}],
            "has the id of task 't0' but for upper and lower case",
            [{}, {"task_id": "t_0"}],
        )
    ],
    "TR403": [
        Case(
            [*at_nine(3), cron("0 9 * * *", timezone="Asia/Tokyo")],
            "is due at 09:00 every day, Asia/Tokyo, at the same local time as 3 tasks in UTC",
            [
                *at_nine(2),
                cron("0 9 * * *", timezone="Asia/Tokyo"),
                cron("0 8 * * *", timezone=BERLIN),
            ],
        )
    ],
    "TR404": [
        Case(
            at_nine(4),
            "is due at 2026-07-02 09:00 UTC together with 't1', 't2' and 't3': 4 tasks",
            [*at_nine(3), *({} for _ in range(9))],
            {"manager": {"scheduler_thread_pool": 3}},
        )
    ],
}
ALL: Final = [(code, case) for code, cases in CASES.items() for case in cases]
WORDS: Final = [f"{code} {number}" for code, cases in CASES.items() for number in range(len(cases))]


@pytest.mark.parametrize(("code", "case"), ALL, ids=WORDS)
def test_a_rule_finds_what_it_is_for(code: str, case: Case) -> None:
    """Once, in the last task of the case, with where, what, why and what to do."""
    (finding,) = findings(*case.tasks, select=code, **case.config)
    rule = next(rule for rule in RULES if rule.code == code)
    assert case.said in finding.what
    assert (finding.code, finding.severity, finding.why) == (code, rule.severity, rule.why)
    text = str(finding)
    assert text.startswith(f"p.py, {finding.task_id}: {code} {rule.severity.value}: task ")
    assert text.endswith(f"{finding.what}. {rule.why} {finding.advice}")
    assert finding.advice.endswith(".")


@pytest.mark.parametrize(("code", "case"), ALL, ids=WORDS)
def test_a_near_miss_is_left_alone(code: str, case: Case) -> None:
    assert [finding.what for finding in findings(*case.silent, select=code, **case.config)] == []


def test_every_rule_is_tested_and_has_a_code_of_its_own() -> None:
    """In the order of the codes, which begin with the number of their group."""
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert set(codes) - set(CASES) == {"TR305"}  # it reads the source, see the test of sources
    assert len(codes) >= 20
    assert all(rule.why.endswith(".") and not rule.title.endswith(".") for rule in RULES)


def test_a_sound_task_is_left_alone_by_every_rule() -> None:
    """Nobody is asked for tags or descriptions."""
    assert findings({}, cron("5 4 * * mon-fri"), {"func": waiting, "max_retries": 1}) == []


def test_rules_are_chosen_by_code_by_group_and_by_task() -> None:
    """``TR2`` is a group; after a colon stands the one task that is spared."""
    tasks = ({**MINUTELY, "timeout": None, "overlap": "queue"}, cron("*/7 * * * *", timeout=None))

    def codes(**choice: list[str]) -> list[str]:
        made = RuleChoice.parse(**choice)
        return [
            finding.code
            for finding in findings(*tasks)
            if made.includes(finding.code) and not made.spares(finding.code, finding.task_id)
        ]

    assert codes() == ["TR203", "TR303", "TR105", "TR303"]
    assert codes(select=["TR2,TR105"]) == ["TR203", "TR105"]
    assert codes(ignore=["TR3"]) == ["TR203", "TR105"]
    assert codes(ignore=["TR303:t1"]) == ["TR203", "TR303", "TR105"]
    assert codes(select=["tr303"], ignore=["TR303:t0"]) == ["TR303"]


def test_a_code_that_no_rule_has_is_refused() -> None:
    """With the nearest one."""
    with pytest.raises(RuleChoiceError, match="no rule has the code 'TR1O4', did you mean 'TR104'"):
        RuleChoice.parse(["TR1O4"])
    for given in ("", "TR105,", "X"):
        with pytest.raises(RuleChoiceError):
            RuleChoice.parse(ignore=[given])


def test_notes_alone_are_in_order_unless_it_is_strict() -> None:
    note = findings({**MINUTELY, "timeout": 90})
    assert [finding.severity for finding in note] == [Severity.NOTE]
    assert is_in_order(note)
    assert not is_in_order(note, strict=True)
    assert not is_in_order(findings({"timeout": None}))
    assert is_in_order([], strict=True)


def test_whatever_can_be_drafted_can_be_looked_over() -> None:
    """A thousand definitions of drawn options, in one project."""
    draw = Random(11)  # noqa: S311 - the same definitions at each run
    choices: dict[str, list[Any]] = {
        "func": [plain, waiting, partial(plain, 2), len, Odd(), Odd().method, lambda: None],
        "timeout": [None, 0.5, 300, 90_000],
        "max_retries": [0, 3, 1_000],
        "retry": [{}, {"backoff": [1, 2]}, {"backoff": "linear", "delay": 5, "max_delay": 1}],
        "overlap": ["skip", "queue", "replace", "allow", 3],
        "catch_up": ["latest", "none", "all"],
        "delivery": ["at_least_once", "at_most_once"],
        "misfire_grace_time": [None, 0.1, 4_000],
        "timezone": ["UTC", BERLIN, "Pacific/Apia", "America/Sao_Paulo"],
        "dst": ["once", "both", "skip"],
        "enabled": [True, True, False],
        "run_on_start": [True, False],
        "args": [[], [1], [1, "x", {"y": None}]],
    }
    schedules = [
        *(cron(text) for text in ("* * * * * *", "0 0 29 2 *", "0 0 0 1 1 ? 2100", "@hourly")),
        cron("CRON_TZ=Asia/Tokyo 5/20 22-2 15W,LW * 7L"), fields(week=53, day_of_week="*/3"),
        fields(second="*/7"), {"trigger_args": {"seconds": 0.01}},
        {"trigger_args": {"weeks": 5_000}},
        {"trigger": "date", "trigger_args": {"run_date": "9999-12-31"}, "timezone": BERLIN},
        {"trigger": "date", "trigger_args": {"run_date": "0001-01-03"}},
    ]  # fmt: skip
    tasks = [
        {name: draw.choice(each) for name, each in choices.items() if draw.random() < 0.4}
        | draw.choice(schedules)
        for _ in range(1_000)
    ]

    found = findings(*tasks)

    assert {finding.severity for finding in found} == set(Severity)
    assert all(str(finding).isprintable() for finding in found)


class Odd:
    """An object that can be called, and says nothing of itself."""

    __name__ = None

    async def __call__(self, *values: object) -> None:
        """Take anything."""

    def method(self) -> None:
        """Take nothing."""

    def __repr__(self) -> str:
        raise RuntimeError


def test_five_hundred_tasks_are_looked_over_in_moments() -> None:
    """A second or so on a small machine, each with a schedule of its own; ten are the bound."""
    strings = [cron(f"{n % 60} {n % 24} {n % 28 + 1} * *", timezone=BERLIN) for n in range(250)]
    by_fields = [fields(minute=n % 60, hour=n % 24, day_of_week="mon-fri") for n in range(250)]
    clock = SystemClock()
    start = clock.monotonic()

    findings(*strings, *by_fields)

    assert clock.monotonic() - start < 10
