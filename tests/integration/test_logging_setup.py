"""``setup_logging``: its settings, the log file, the console of a real process."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loguru import logger as loguru_logger

from core.errors import LoggingError
from loggers import get_logger, log_context, setup_logging, teardown_logging
from loggers.ownership import OWNED

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| [A-Z]+ *\| \S+ \| .*")
ENVIRONMENT = ("LOG_LEVEL", "LOG_FILE", "LOG_FORMAT", "NO_COLOR")


class Stderr:
    """A stream that is whatever ``sys.stderr`` is when something is written."""

    def write(self, message: str) -> None:
        sys.stderr.write(message)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    loguru_logger.remove()
    OWNED.default_id = loguru_logger.add(Stderr())
    yield
    teardown_logging()


def environment(**values: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ENVIRONMENT}
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(places), **values}


def run(code: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a fresh process with pipes for a console."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**values),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def run_on_a_terminal(code: str, **values: str) -> str:
    """Run *code* with a terminal as its standard error and return what the terminal got."""
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-c", code]
    with subprocess.Popen(arguments, env=environment(**values), stderr=theirs) as process:
        os.close(theirs)
        chunks = []
        try:
            while chunk := os.read(ours, 65536):
                chunks.append(chunk)
        except OSError:
            pass  # how Linux ends a terminal whose other side is closed
        os.close(ours)
        assert process.wait(timeout=30) == 0
    return b"".join(chunks).decode().replace("\r\n", "\n")


HELLO = """
from loggers import get_logger, setup_logging
setup_logging()
log = get_logger("backgroundtask")
log.debug("deep")
log.info("hello")
log.error("bad")
"""


def test_nothing_happens_at_import() -> None:
    done = run(
        "import logging, threading\n"
        "import loguru\n"
        "before = repr(loguru.logger)\n"
        "import loggers\n"
        "loggers.get_logger('backgroundtask').critical('nobody listens')\n"
        "assert repr(loguru.logger) == before\n"
        "assert logging.getLogger().handlers == []\n"
        "assert threading.active_count() == 1\n"
        "assert not loggers.is_configured_by_application()\n",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_fresh_process_shows_each_record_once() -> None:
    done = run(HELLO + "import logging; logging.getLogger('library').warning('standard')")
    lines = done.stderr.splitlines()
    assert [line[20:] for line in lines] == [
        "| INFO     | backgroundtask | hello",
        "| ERROR    | backgroundtask | bad",
        "| WARNING  | library | standard",
    ]
    assert all(LINE.fullmatch(line) for line in lines)
    assert done.stdout == ""


def test_the_last_resort_of_standard_logging_never_speaks_for_us() -> None:
    done = run(
        "import logging\n"
        "from loggers import get_logger, setup_logging\n"
        "get_logger('a').error('before')\n"
        "setup_logging()\n"
        "logging.getLogger('alone').propagate = False\n"
        "get_logger('alone').error('after')\n",
    )
    assert [line[20:] for line in done.stderr.splitlines()] == ["| ERROR    | alone | after"]


def test_colours_are_for_terminals_only() -> None:
    text = run_on_a_terminal(HELLO)
    assert "| \x1b[32mINFO    \x1b[0m | backgroundtask | hello\n" in text
    assert "| \x1b[31mERROR   \x1b[0m | backgroundtask | bad\n" in text
    assert "\x1b" not in run(HELLO).stderr


@pytest.mark.parametrize("values", [{"NO_COLOR": "1"}, {"LOG_FORMAT": "plain"}])
def test_colours_can_be_declined(values: dict[str, str]) -> None:
    text = run_on_a_terminal(HELLO, **values)
    assert "\x1b" not in text
    assert "| INFO     | backgroundtask | hello\n" in text


def test_colours_can_be_declined_by_argument() -> None:
    code = HELLO.replace("setup_logging()", "setup_logging(enable_colors=False)")
    assert "\x1b" not in run_on_a_terminal(code)


@pytest.mark.parametrize(
    "spoil",
    [
        "sys.stderr.close()",
        "sys.stderr = None",
        "read, write = os.pipe(); os.close(read); os.dup2(write, 2)",
        "os.close(2)",
    ],
)
def test_a_console_that_is_gone_hurts_nobody(spoil: str) -> None:
    code = (
        f"import logging, os, sys\n{HELLO}\n{spoil}\n"
        "log.error('into the void')\n"
        "logging.getLogger('library').error('into the void')\n"
        "print('alive')\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_a_console_with_a_narrow_encoding_shows_escapes() -> None:
    done = run(
        "import io, sys\n"
        "sys.stderr = io.TextIOWrapper(sys.stderr.buffer, encoding='ascii', errors='strict')\n"
        "from loggers import get_logger, setup_logging\n"
        "setup_logging()\n"
        "get_logger('a').info('h\\xe9llo')\n",
    )
    assert done.stderr.endswith("| a | h\\xe9llo\n")


def test_json_lines_come_from_the_environment() -> None:
    done = run(HELLO, LOG_FORMAT="JSON", LOG_LEVEL="debug")
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["message"]) for line in found] == [
        ("DEBUG", "deep"),
        ("INFO", "hello"),
        ("ERROR", "bad"),
    ]
    assert found[0].keys() == {"timestamp", "level", "logger", "message", "source"}
    assert found[0]["source"] == "<string>:5"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({}, True),
        ({"log_level": None}, True),
        ({"log_level": "INFO"}, False),
        ({"log_level": 30}, False),
    ],
)
def test_an_argument_that_is_given_beats_the_environment(
    arguments: dict[str, str],
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    setup_logging(**arguments)  # type: ignore[arg-type]
    get_logger("backgroundtask").debug("deep")
    assert ("deep" in capsys.readouterr().err) is shown


def test_the_log_file_comes_from_the_environment_and_an_empty_text_declines_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "logs" / "deep" / "app.log"
    monkeypatch.setenv("LOG_FILE", str(file))
    setup_logging(log_file="")
    assert not file.parent.exists()
    setup_logging()
    get_logger("backgroundtask").info("hello")
    assert file.read_text().endswith("| INFO     | backgroundtask | hello\n")


@pytest.mark.item("X53")
def test_the_file_is_plain_and_holds_every_way_of_logging_once(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    setup_logging(log_file=file)
    password = "hunter2"  # noqa: S105
    with log_context(task_id="report", run_id="01J9", attempt=1):
        get_logger("backgroundtask").info("mine \x1b[31m")
        loguru_logger.info("direct")
        logging.getLogger("library").info("standard")
        try:
            raise ValueError(len(password))  # noqa: TRY301
        except ValueError:
            get_logger("backgroundtask").exception("failed")
    lines = file.read_text().splitlines()
    assert [line[20:] for line in lines if LINE.fullmatch(line)] == [
        "| INFO     | backgroundtask | [report 1] mine \\x1b[31m",
        f"| INFO     | {__name__} | [report 1] direct",
        "| INFO     | library | [report 1] standard",
        "| ERROR    | backgroundtask | [report 1] failed",
    ]
    assert lines[4] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: 7"
    assert password not in file.read_text()


def test_a_full_file_turns_over_and_a_number_of_old_ones_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    setup_logging(log_file=file, max_bytes=200, backup_count=2)
    for number in range(12):
        get_logger("backgroundtask").info("{:040}", number)
    kept = [file.with_name("app.log.2"), file.with_name("app.log.1"), file]
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert all(0 < part.stat().st_size <= 200 for part in kept)
    numbers = [int(line[-40:]) for part in kept for line in part.read_text().splitlines()]
    assert numbers == list(range(numbers[0], 12))


@pytest.mark.parametrize(("max_bytes", "lines"), [(0, 12), (200, 2)])
def test_no_limit_keeps_all_and_no_backups_starts_over(
    max_bytes: int,
    lines: int,
    tmp_path: Path,
) -> None:
    setup_logging(log_file=tmp_path / "app.log", max_bytes=max_bytes, backup_count=0)
    for number in range(12):
        get_logger("backgroundtask").info("{:040}", number)
    assert [part.name for part in tmp_path.iterdir()] == ["app.log"]
    assert len((tmp_path / "app.log").read_text().splitlines()) == lines


def test_a_file_that_was_moved_or_deleted_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "app.log"
    setup_logging(log_file=file)
    log = get_logger("backgroundtask")
    log.info("first")
    file.rename(file.with_name("moved.log"))
    log.info("second")
    assert "second" in file.read_text()
    file.unlink()
    file.with_name("moved.log").replace(file)
    log.info("third")
    assert [line[-6:].strip() for line in file.read_text().splitlines()] == ["first", "third"]


def test_setting_up_again_goes_on_in_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    for number in range(3):
        setup_logging(log_file=file)
        get_logger("backgroundtask").info("line {}", number)
    assert [line[-1] for line in file.read_text().splitlines()] == ["0", "1", "2"]


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    setup_logging(log_file=file, max_bytes=2000, backup_count=100)

    def work(name: str) -> None:
        for number in range(50):
            get_logger("backgroundtask").info("{} {}", name, number)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line for part in tmp_path.iterdir() for line in part.read_text().splitlines()]
    assert all(LINE.fullmatch(line) for line in lines)
    assert len({line.split("| ")[-1] for line in lines}) == len(lines) == 200


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("blocked/app.log", "{folder}/blocked' is a file where a folder is expected"),
        ("blocked/deep/app.log", "{folder}/blocked' is a file where a folder is expected"),
        (".", "it is a folder, and a file is expected"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_log_file_that_cannot_be_used_leaves_the_console_working(
    name: str,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "blocked").touch()
    path = tmp_path / name
    setup_logging(log_file=path)
    get_logger("backgroundtask").info("still here")
    text = capsys.readouterr().err
    expected = reason.format(folder=tmp_path)
    assert f"| ERROR    | loggers | log file '{path}' cannot be used: " in text
    assert expected in text
    assert "still here" in text
    with pytest.raises(LoggingError, match=re.escape(expected)):
        setup_logging(log_file=path, strict=True)
    get_logger("backgroundtask").info("even now")
    assert "even now" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_file_that_fails_later_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(log_file="/dev/full")
    for number in range(3):
        get_logger("backgroundtask").info("line {}", number)
    lines = capsys.readouterr().err.splitlines()
    fault = "log file '/dev/full' cannot be written: [Errno 28] No space left on device"
    assert [line[20:] for line in lines] == [
        "| INFO     | backgroundtask | line 0",
        f"| ERROR    | loggers | {fault}",
        "| INFO     | backgroundtask | line 1",
        "| INFO     | backgroundtask | line 2",
    ]


def test_all_bad_settings_are_named_at_once_and_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setup_logging("ERROR")
    monkeypatch.setenv("LOG_FORMAT", "jsno")
    with pytest.raises(LoggingError) as caught:
        setup_logging("INFOO", "a\0b", -1, 2.5)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "setup_logging has 5 problems:\n"
        "  log_level: unknown level 'INFOO', did you mean 'INFO'? Known levels: "
        "TRACE, DEBUG, INFO, SUCCESS, WARNING, ERROR, CRITICAL.\n"
        "  environment variable LOG_FORMAT: unknown format 'jsno', did you mean 'json'? "
        "Known formats: colored, plain, json.\n"
        "  log_file: expected the path of a file, got 'a\\x00b'\n"
        "  max_bytes: expected a whole number of bytes, zero or more, got -1\n"
        "  backup_count: expected a whole number of files, zero or more, got 2.5"
    )
    get_logger("backgroundtask").warning("hidden")
    get_logger("backgroundtask").error("shown")
    text = capsys.readouterr().err
    assert "hidden" not in text
    assert "shown" in text


def test_a_call_below_the_level_costs_next_to_nothing() -> None:
    """The best of many rounds counts: a busy machine only adds to the others.

    In a process of its own, since measuring coverage would be measured too.
    """
    done = run(
        "import timeit\n"
        "from loggers import get_logger, setup_logging\n"
        "log = get_logger('backgroundtask')\n"
        "for prepare in (lambda: None, setup_logging):\n"
        "    prepare()\n"
        "    call = lambda: log.debug('x %s', 1)\n"
        "    print(min(timeit.repeat(call, number=2000, repeat=50)) / 2000)\n",
    )
    assert [float(seconds) < 2e-6 for seconds in done.stdout.split()] == [True, True], done.stdout
