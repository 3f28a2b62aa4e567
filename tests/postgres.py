"""A PostgreSQL server of the tests' own: found or installed, started, restarted, stopped by pid."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import psycopg

from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEBIAN: Final = Path("/usr/lib/postgresql")
_LOCK: Final = Path(tempfile.gettempdir()) / "taskrack-postgres-install.lock"
_QUICK: Final = {"fsync": "off", "full_page_writes": "off"}
"""Settings for tests in which the machine is not going to lose its power."""
_START: Final = """
import ctypes, os, sys
user, group, *command = sys.argv[1:]
kernel = ctypes.CDLL(None)
if user:
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
if sys.platform == "linux":
    kernel.prctl(1, 3)  # the server gets SIGQUIT where the tests die without ending it
os.execv(command[0], command)
"""


def binaries() -> Path:
    """Return the folder of ``initdb`` and ``postgres``; install Debian's where there are none.

    Raises:
        AssertionError: there are none, and they cannot be installed; nothing is skipped quietly.
    """
    found = _found()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with _LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _found() is None:
                _install()
        found = _found()
    assert found is not None, "PostgreSQL is needed: install its server, or put it on the PATH"
    return found


def _found() -> Path | None:
    folders = [
        Path(each).resolve().parent
        for name in ("postgres", "initdb")
        if (each := shutil.which(name))
    ]
    folders += sorted(_DEBIAN.glob("*/bin"), key=_release, reverse=True)
    if shutil.which("pg_config"):
        said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
        folders.append(Path(said.stdout.strip()))
    for folder in folders:
        if all((folder / name).exists() for name in ("postgres", "initdb")):
            return folder
    return None


def _release(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def _install() -> None:
    conf = Path("/etc/postgresql-common/createcluster.conf")
    if not conf.exists():  # no cluster of the system's: the tests make their own
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text("create_main_cluster = false\n", encoding="utf-8")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], env=quiet, check=True)
    subprocess.run(
        ["apt-get", "install", "-q", "-y", "--no-install-recommends",
         "-o", "Dpkg::Options::=--force-confold", "postgresql"],
        env=quiet,
        check=True,
    )  # fmt: skip


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A server on a loopback port, with its files in a folder of its own.

    Args:
        settings: Over the server's defaults.
    """

    def __init__(self, settings: Mapping[str, str] = _QUICK) -> None:
        self._bin = binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="taskrack-postgres-"))
        self._settings = dict(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0
        self.port = free_port()
        self._who: dict[str, Any] = {}
        self._start = [sys.executable, "-I", "-S", "-c", _START, "", ""]
        if os.geteuid() == 0:  # the server refuses to be root
            user = _unprivileged()
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            self._start[-2:] = [str(user.pw_uid), str(user.pw_gid)]
        self._call(
            "initdb", "--pgdata", str(self._data), "--username", "tests", "--auth", "trust",
            "--encoding", "UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """Return the URL of a database, by the way of another *port* where one is given."""
        return f"postgresql://tests@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": "60",
            "timezone": "UTC",
            **self._settings,
        }
        words = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*self._start, str(self._bin / "postgres"), "-D", str(self._data), *words],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
            )
        eventually(self._answers, 60)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError((self._folder / "log").read_text(encoding="utf-8"))
        with suppress(psycopg.OperationalError), self.connect() as link:
            return link.execute("SELECT 1").fetchone() == (1,)
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: ``SIGINT`` is its fast way, ``SIGQUIT`` the immediate one."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(60)
        self._process = None

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop and start; what was under way is cut off."""
        self.stop(how)
        self.start()

    def close(self) -> None:
        """Stop the server and delete its files."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Return a connection that commits every statement."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def database(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        self._count += 1
        name = f"test_{self._count}"
        with self.connect() as link:
            link.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"'.encode())
        return name

    def drop(self, database: str) -> None:
        """Delete a database, whoever is connected to it."""
        with self.connect() as link:
            link.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())

    def _call(self, name: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._bin / name), *words],
            capture_output=True,
            text=True,
            cwd=self._folder,
            check=False,
            **self._who,
        )
        assert done.returncode == 0, done.stderr

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def fresh_database(server: Server, template: str = "template1") -> Iterator[str]:
    """Give the URL of a database that nobody has used, and delete it afterwards."""
    name = server.database(template)
    try:
        yield server.url(name)
    finally:
        server.drop(name)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("no user 'postgres' or 'nobody' to run the server as")
