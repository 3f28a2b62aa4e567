"""Where lines go: the console, a file that turns over by size, and the outlet that feeds both."""

from __future__ import annotations

import os
import stat
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TextIO

from loggers.lines import as_json, as_text, line_of

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from loguru import Message

    from loggers.lines import Line


class LineReader(Protocol):
    """Takes lines, one at a time."""

    def write(self, line: Line) -> None:
        """Take one line."""
        ...


class Console:
    """The process's standard error, looked up for each line since it may be exchanged.

    Attributes:
        json: Write JSON lines instead of text.
        colors: Colour the level where the stream is a terminal.
    """

    def __init__(self, *, json: bool, colors: bool) -> None:
        self.json = json
        self.colors = colors

    def write(self, line: Line) -> None:
        """Write one line; a closed or broken stream loses it and nothing else happens."""
        stream = sys.stderr
        if stream is None:  # a process without a console, such as pythonw
            return
        # A line that nobody can read must not stop the task that logged it.
        with suppress(OSError, ValueError):
            text = as_json(line) if self.json else as_text(line, colored=self._colored(stream))
            try:
                stream.write(text)
            except UnicodeEncodeError:
                encoding = stream.encoding or "ascii"
                stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()

    def _colored(self, stream: TextIO) -> bool:
        isatty = getattr(stream, "isatty", None)
        return self.colors and isatty is not None and bool(isatty())


@dataclass(frozen=True, slots=True)
class FileSettings:
    """A log file: where, how large in bytes (zero: no limit), and how many old ones are kept."""

    path: Path
    max_bytes: int
    backup_count: int
    json: bool = False


class LogFile:
    """A log file that turns over by size: ``app.log``, then ``app.log.1`` (newest) and so on.

    The folder is made where it is missing. Each line is one append to the end of the file, so
    several processes may share it; a file that was moved or deleted is made anew. With a
    ``backup_count`` of zero a full file starts over.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(self, settings: FileSettings) -> None:
        self.settings = settings
        settings.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()
        self._identity = self._identify()
        self._regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def write(self, line: Line) -> None:
        """Append one line.

        Raises:
            OSError: The line could not be written.
        """
        text = as_json(line) if self.settings.json else as_text(line, colored=False)
        data = text.encode("utf-8", "backslashreplace")
        if self._regular:
            self._make_room(len(data))
        self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _make_room(self, size: int) -> None:
        path = self.settings.path
        try:
            now = path.stat()
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._reopen()
            return
        if self._file.closed or (now.st_dev, now.st_ino) != self._identity:
            self._reopen()
            now = path.stat()
        limit = self.settings.max_bytes
        if limit and now.st_size and now.st_size + size > limit:
            self._turn_over()

    def _turn_over(self) -> None:
        path, count = self.settings.path, self.settings.backup_count
        names = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, count + 1))]
        self._file.close()
        # Where renaming is not possible the file grows on: a long log is better than none.
        with suppress(OSError):
            if count == 0:
                os.truncate(path, 0)
            for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
                if newer.exists():
                    newer.replace(older)
        self._reopen()

    def _reopen(self) -> None:
        self._file.close()
        self._file = self._open()
        self._identity = self._identify()

    def _open(self) -> FileIO:
        # Unbuffered: a line is in the file when the call returns, and it is there as a whole.
        return self.settings.path.open("ab", buffering=0)

    def _identify(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_dev, status.st_ino


class Outlet:
    """Our one loguru sink for reading eyes: it feeds the console and, where set, the file.

    What it feeds is exchanged in place, so that no line is lost or doubled meanwhile.
    """

    name = "taskrack"

    def __init__(self, console: LineReader) -> None:
        self._lock = threading.Lock()
        self._console = console
        self._file: LogFile | None = None
        self._file_is_broken = False

    def feed(self, console: LineReader, file: LogFile | None) -> None:
        """Exchange both; the file of before is closed."""
        with self._lock:
            before, self._console, self._file = self._file, console, file
            self._file_is_broken = False
        if before is not None:
            before.close()

    def write(self, message: Message) -> None:
        """Write one record; a file that fails is reported once on the console."""
        line = line_of(message.record)
        with self._lock:
            self._console.write(line)
            if self._file is not None:
                self._write_to_file(self._file, line)

    def stop(self) -> None:
        """Close the file; loguru calls this when the sink is removed and when Python ends."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.close()

    def _write_to_file(self, file: LogFile, line: Line) -> None:
        try:
            file.write(line)
        except (OSError, ValueError) as error:
            if not self._file_is_broken:
                text = f"log file {str(file.settings.path)!r} cannot be written: {error}"
                notice = replace(line, level="ERROR", level_no=40, name="loggers", extra={})
                self._console.write(replace(notice, message=text, exception=""))
            self._file_is_broken = True
        else:
            self._file_is_broken = False
