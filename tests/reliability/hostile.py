"""Whatever a task does, its neighbours run on time, and the bad run ends in the right state.

Forty-four hostile behaviours in three modes, beside healthy tasks each second. A bad run has a
reason, an isolated one leaves no process behind, and the container grows by less than 20 MiB.

What a mode cannot survive by nature is expected to end or to hold up the container, which then
recovers: see the table of isolation in ``docs/tasks.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.reliability.checking import Report, Scale
from tests.reliability.hostilities import BEHAVIOURS
from tests.reliability.victims import Victim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MODES: Final = ("loop", "thread", "process")
GROWTH_MIB: Final = 20
PUNCTUAL: Final = {Scale.SHORT: (95.0, 3.0), Scale.LONG: (99.9, 1.0)}
"""So many percent of the neighbours' runs start within so many seconds. A test run shares its
machine with others, whose load alone makes some late."""
ROUNDS: Final = {Scale.SHORT: 1, Scale.LONG: 5}
WAVE: Final = 6
ENDS: Final = "ends the container"
STOPS: Final = "stops the container"
HOLDS: Final = "holds up the container"
NOT_ASKED: Final = "not asked"
OK, FAILED, LATE = "completed", "failed exception", "failed timeout"
CRASHED: Final = "lost crash"
EXPECTED: Final[dict[str, tuple[str, str, str]]] = {
    "loops_for_ever": (LATE, LATE, LATE),
    "sleeps_too_long": (LATE, LATE, LATE),
    "ignores_every_wish_to_end": (LATE, LATE, LATE),
    "holds_the_interpreter": (HOLDS, HOLDS, LATE),
    "matches_for_ever": (HOLDS, HOLDS, LATE),
    "leaves_the_process": (ENDS, ENDS, CRASHED),
    "crashes": (ENDS, ENDS, CRASHED),
    "kills_itself": (ENDS, ENDS, CRASHED),
    "recurses_into_the_void": (ENDS, ENDS, CRASHED),
    "exits": (FAILED, FAILED, FAILED),
    "interrupts": (FAILED, FAILED, FAILED),
    "ends_a_generator": (FAILED, FAILED, FAILED),
    "stops_an_iteration": (FAILED, FAILED, FAILED),
    "raises_something_else": (FAILED, FAILED, FAILED),
    "recurses": (FAILED, FAILED, FAILED),
    "hogs_memory": (OK, OK, CRASHED),
    "closes_files": (NOT_ASKED, NOT_ASKED, OK),
    "takes_the_signals": (FAILED, FAILED, OK),
    "raises_without_a_text": (FAILED, FAILED, FAILED),
    "raises_at_length": (FAILED, FAILED, FAILED),
    "removes_itself": (OK, OK, FAILED),
    "runs_itself": (OK, OK, FAILED),
    "shuts_down": (STOPS, STOPS, FAILED),
}
"""State and reason of the run by mode; what is not listed completes in each. To close the files of
the whole container by number lets any later file take their place, so nobody asks for that."""
HOLDING: Final = ("holds_the_interpreter", "matches_for_ever")
BLOCKING: Final = frozenset({"loops_for_ever", "sleeps_too_long"})
"""What stops every coroutine of its loop as a coroutine."""
HEAVY: Final = frozenset({"hogs_memory", "returns_too_much", "raises_at_length"})
"""What takes its memory from the container as a coroutine or in a thread: the allocator keeps it,
and the neighbours wait while it is taken."""
LAST: Final = (
    "closes_its_output", "replaces_threads", "breaks_the_loops_of_others", "replaces_the_clock",
)  # fmt: skip
"""What leaves the container of the in-process modes as no other behaviour should find it."""
SHORT_ENDS: Final = (("leaves_the_process", "thread"), ("crashes", "loop"))


@dataclass(slots=True)
class Findings:
    """What was seen so far."""

    runs: int = 0
    ended: int = 0
    late: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def judge(self, task: str, wanted: str, found: str, error: str | None) -> None:
        """Hold the end of a run against what was expected."""
        self.runs += 1
        if found != wanted:
            self.failures.append(f"{task}: expected {wanted}, got {found}: {error}")
        elif found != OK and not error:
            self.failures.append(f"{task}: {found} without a word")


def check(scale: Scale, folder: Path) -> Report:
    """Let a container suffer every behaviour, and count what became of all."""
    findings = Findings()
    victim = Victim(folder)
    growth, left = 0.0, 0
    try:
        victim.start()
        _suffer(victim, [f"{name}_{mode}" for name in HEAVY for mode in MODES[:2]], findings)
        victim.go_on()
        before, since = victim.memory_mib, victim.now
        for number in range(ROUNDS[scale]):
            for wave in _waves(again=number > 0):
                _suffer(victim, wave, findings)
                left += victim.kill_strays(findings.failures)
            victim.resume([f"{name}_process" for name in EXPECTED if _crashes(name)])
        _listen(victim, since, MODES, findings)
        growth, since = victim.memory_mib - before, victim.now
        _suffer(victim, [f"{name}_loop" for name in BLOCKING], findings)
        _listen(victim, since, ("thread", "process"), findings)
        _hold_up(victim, MODES[:1] if scale is Scale.SHORT else MODES[:2], findings)
        _suffer(victim, [f"{name}_{mode}" for name in LAST for mode in MODES], findings)
        _suffer(victim, ["sleeps_too_long_thread"], findings)  # time limits still strike
        victim.go_on()
        for name, mode in SHORT_ENDS if scale is Scale.SHORT else _ends():
            _end(victim, name, mode, findings)
        victim.stop()
    finally:
        victim.close()
    survivors = victim.survivors
    if survivors:
        findings.failures.append(f"left after the end of the container: {survivors}")
    percent, limit = PUNCTUAL[scale]
    late, beats = findings.late, max(1, len(findings.late))
    within = {each: 100.0 * sum(second <= each for second in late) / beats for each in (1.0, limit)}
    if within[limit] < percent:
        slowest = f"the slowest {max(late, default=0):.1f} s late"
        text = f"{within[limit]:.2f} % of the neighbours' runs were within {limit:g} s, {slowest}"
        findings.failures.append(text)
    if growth > GROWTH_MIB:
        findings.failures.append(f"the container grew by {growth:.0f} MiB")
    figures = {
        "behaviours": len(BEHAVIOURS),
        "hostile runs": findings.runs,
        "ends of the container": findings.ended,
        "runs of neighbours": len(late),
        "% of them within 1 s": round(within[1.0], 2),
        "MiB grown": round(growth, 1),
        "processes left by loop and thread": left,
        "processes left by process": 0 if not survivors else len(survivors),
    }
    return Report(figures, findings.failures)


def expected(name: str, mode: str) -> str:
    """Return what becomes of a behaviour in a mode."""
    return EXPECTED.get(name, (OK, OK, OK))[MODES.index(mode)]


def _crashes(name: str) -> bool:
    return expected(name, "process") == CRASHED


def _waves(*, again: bool) -> Iterator[list[str]]:
    """Yield the tasks that are let loose together: each in every mode that survives it.

    Args:
        again: Whether they have been before: a task that was removed stays so.
    """
    gone = {*LAST, "removes_itself"} if again else set(LAST)
    names = [each.__name__ for each in BEHAVIOURS if each.__name__ not in gone]
    rest = [
        f"{name}_{mode}"
        for name in names
        for mode in MODES
        if expected(name, mode) not in {ENDS, STOPS, HOLDS, NOT_ASKED}
        and not (mode == "loop" and name in BLOCKING)
        and not (mode != "process" and name in HEAVY)
    ]
    step = WAVE * len(MODES)
    for start in range(0, len(rest), step):
        yield rest[start : start + step]


def _suffer(victim: Victim, wave: Sequence[str], findings: Findings) -> None:
    """Let tasks loose at once, wait until all are over, and judge how they ended."""
    for task, (state, error) in victim.run_all(wave).items():
        name, _, mode = task.rpartition("_")
        findings.judge(task, expected(name, mode), state, error)


def _listen(victim: Victim, since: int, lanes: Sequence[str], findings: Findings) -> None:
    """Take down how late the neighbours of these lanes were since then."""
    late = victim.lateness(since, lanes)
    findings.late += late
    if not late:
        findings.failures.append("no neighbour ran at all")


def _hold_up(victim: Victim, modes: Sequence[str], findings: Findings) -> None:
    """Let tasks hold the interpreter: everything waits, and goes on where it was."""
    for task in (f"{name}_{mode}" for name in HOLDING for mode in modes):
        ((state, error),) = victim.run_all([task]).values()
        findings.runs += 1
        if state not in {OK, LATE}:
            findings.failures.append(f"{task}: {state}: {error}")
    victim.go_on()


def _ends() -> list[tuple[str, str]]:
    names = [each.__name__ for each in BEHAVIOURS]
    return [
        (name, mode) for name in names for mode in MODES if expected(name, mode) in {ENDS, STOPS}
    ]


def _end(victim: Victim, name: str, mode: str, findings: Findings) -> None:
    """Let a task end the container, start it again, and see that it recovers."""
    task = f"{name}_{mode}"
    by_force = expected(name, mode) == ENDS
    run = victim.order(task)
    victim.wait_for_end(by_force=by_force)
    victim.start()
    state, error = victim.wait_for(run)
    findings.ended += 1
    wanted = CRASHED if by_force else "lost interrupted"
    findings.judge(task, wanted, state, error)
    victim.go_on()
