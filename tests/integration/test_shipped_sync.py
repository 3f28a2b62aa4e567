"""The mirror of a JSON document, against a real HTTP server on the loopback."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

import pytest

from backgroundtask.download import DownloadError, fetch
from backgroundtask.sync import NAME, bring_up_to_date
from backgroundtask.taskplugins import sync_external_data
from core.run import RunState
from tests.browser import served
from tests.tools import eventually, fire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

DOCUMENT = b'{"prices": [1, 2.5]}'
_GATE = threading.Event()


class Source(BaseHTTPRequestHandler):
    """A server with one document that can be exchanged, and paths that misbehave."""

    body: ClassVar[bytes] = DOCUMENT
    etag: ClassVar[str | None] = '"one"'
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        name = self.path.strip("/").split("/")[0].replace("-", "_")
        getattr(self, f"send_{name}")()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""

    def send_document(self) -> None:
        self.asked.append(self.headers["If-None-Match"])
        if self.etag is not None and self.headers["If-None-Match"] == self.etag:
            self._head(304)
            return
        tag = {} if self.etag is None else {"ETag": self.etag}
        self._head(200, **tag, **{"Content-Length": str(len(self.body))})
        self.wfile.write(self.body)

    def send_moved(self) -> None:
        self._head(302, Location="/document")

    def send_round(self) -> None:
        self._head(302, Location=f"{self.path}/on")

    def send_file(self) -> None:
        self._head(302, Location="file:///etc/passwd")

    def send_ftp(self) -> None:
        self._head(302, Location="ftp://127.0.0.1/prices.json")

    def send_broken(self) -> None:
        self._head(503)

    def send_page(self) -> None:
        self._head(200)
        self.wfile.write(b"<!doctype html><p>Please log in")

    def send_cut_short(self) -> None:
        self._head(200, **{"Content-Length": "100"})
        self.wfile.write(b"[1, 2]")

    def send_announced(self) -> None:
        self._head(200, **{"Content-Length": str(2**40)})

    def send_endless(self) -> None:
        self._head(200)
        try:
            while True:
                self.wfile.write(b"[" * 65_536)
        except OSError:
            self.close_connection = True

    def send_slow(self) -> None:
        self._head(200)
        self.wfile.write(b"[")
        self.wfile.flush()
        _GATE.wait(20)

    def _head(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve; give the address, without a slash."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Source.body, Source.etag = DOCUMENT, '"one"'
    Source.asked.clear()
    _GATE.clear()
    with served(Source) as address:
        yield address
        _GATE.set()


@pytest.fixture
def synced(source: str, project: Project) -> TaskManager:
    """Start a container with the sync task, and the source's address in its settings."""
    return started(project, f"{source}/document")


def started(project: Project, url: str | None, timeout: float = 5.0) -> TaskManager:
    project.config(manager={"sync_url": url, "sync_timeout": timeout})
    tasks = project.engine()
    tasks.add_task(sync_external_data, "interval", "sync_external_data", hours=1, max_retries=0)
    tasks.start()
    return tasks


@pytest.mark.item("X7")
def test_a_first_run_stores_the_document(
    synced: TaskManager, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Start and end are logged, and the ledger holds body, tag and source."""
    with caplog.at_level("INFO"):
        run = fire(synced, "sync_external_data")
        said = [each.getMessage() for each in caplog.records if each.name == "backgroundtask"]
    assert run.result == {"changed": True, "etag": '"one"', "bytes": len(DOCUMENT)}
    assert said == ["Starting data sync", "Data sync completed"]
    document = synced.ledger.document(NAME)
    assert document is not None
    assert document["body"] == {"prices": [1, 2.5]}
    assert (document["etag"], document["source"]) == ('"one"', f"{source}/document")


def test_a_known_version_is_not_sent_again(synced: TaskManager) -> None:
    """The tag is asked for, and the answer 304 leaves the document as it is."""
    fire(synced, "sync_external_data")
    before = synced.ledger.document(NAME)
    run = fire(synced, "sync_external_data")
    assert run.result == {"changed": False, "etag": '"one"', "bytes": 0}
    assert Source.asked == [None, '"one"']
    assert synced.ledger.document(NAME) == before


def test_a_new_version_takes_the_place_of_the_old_one(synced: TaskManager) -> None:
    """Only the newest is kept."""
    fire(synced, "sync_external_data")
    Source.body, Source.etag = b"[3]", '"two"'
    assert fire(synced, "sync_external_data").result["changed"] is True
    document = synced.ledger.document(NAME)
    assert document is not None
    assert (document["body"], document["etag"]) == ([3], '"two"')


def test_without_tags_the_content_tells_whether_it_changed(synced: TaskManager) -> None:
    """A server that knows no tags sends the whole document each time."""
    Source.etag = None
    assert fire(synced, "sync_external_data").result["changed"] is True
    again = fire(synced, "sync_external_data").result
    assert again == {"changed": False, "etag": None, "bytes": len(DOCUMENT)}
    assert Source.asked == [None, None]


def test_the_tag_of_another_address_is_not_asked_for(source: str, project: Project) -> None:
    """A tag means something to the server that gave it only."""
    tasks = started(project, f"{source}/document")
    fire(tasks, "sync_external_data")
    section = tasks.config.manager
    found = bring_up_to_date(f"{source}/document/other", section, tasks.ledger)
    assert found["changed"] is True
    assert Source.asked == [None, None]


def test_a_sync_without_an_address_fails_and_names_the_key(project: Project) -> None:
    """In a container somebody enabled the task, so somebody has to set the key."""
    run = fire(started(project, None), "sync_external_data")
    assert run.state is RunState.FAILED
    assert run.error == (
        "StateError: manager.sync_url is not set; give the http or https address of a JSON "
        "document in config.json"
    )


def test_a_failed_sync_leaves_the_stored_document(source: str, project: Project) -> None:
    """The last good version is better than none."""
    tasks = started(project, f"{source}/document")
    fire(tasks, "sync_external_data")
    before = tasks.ledger.document(NAME)
    Source.body, Source.etag = b"oops", '"two"'
    run = fire(tasks, "sync_external_data")
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert "/document: expected JSON, got 'oops'" in run.error
    assert tasks.ledger.document(NAME) == before


def test_a_redirect_is_followed(source: str) -> None:
    """Documents move."""
    found = fetch(f"{source}/moved", None, 5)
    assert found is not None
    assert found.body == {"prices": [1, 2.5]}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/broken", "the server answered 503 Service Unavailable"),
        ("/page", "expected JSON, got '<!doctype html><p>Please log in'"),
        ("/cut-short", "the body ended after 6 of 100 bytes"),
        ("/announced", "the body is larger than 10485760 bytes"),
        ("/endless", "the body is larger than 10485760 bytes"),
        ("/round", "the server answered 302 The HTTP server returned a redirect error"),
        ("/file", "Redirection to url 'file:///etc/passwd' is not allowed"),
        ("/ftp", "expected an http or https address, got 'ftp://127.0.0.1/prices.json'"),
    ],
)
def test_what_is_no_document_is_refused_with_its_reason(
    path: str, reason: str, source: str
) -> None:
    """Each error names the address first."""
    with pytest.raises(DownloadError) as caught:
        fetch(f"{source}{path}", None, 10)
    assert str(caught.value).startswith(f"{source}{path}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize("body", [b"NaN", b"[1e999]", b"\xff\xfe\x00", b"", b"[" * 100_000])
def test_what_json_does_not_know_is_no_json(body: bytes, source: str) -> None:
    """What is stored can be read by every JSON reader."""
    Source.body = body
    with pytest.raises(DownloadError, match="expected JSON"):
        fetch(f"{source}/document", None, 5)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,1", "nothing"])
def test_only_the_web_is_asked(url: str) -> None:
    """No file of this machine and no other protocol."""
    with pytest.raises(DownloadError, match="expected an http or https address"):
        fetch(url, None, 1)


def test_a_server_that_is_not_there_is_an_error_without_its_password() -> None:
    """Addresses are shown masked."""
    with pytest.raises(DownloadError) as caught:
        fetch("http://127.0.0.1:1/prices?token=secret", None, 1)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


def test_an_answer_that_does_not_end_is_given_up_in_time(source: str) -> None:
    """The limit is one for the whole exchange."""
    with pytest.raises(DownloadError, match="no whole answer in time"):
        fetch(f"{source}/slow", None, 0.1)


def test_a_cancelled_sync_ends_as_cancelled(source: str, project: Project) -> None:
    """The task does not wait for the server."""
    tasks = started(project, f"{source}/slow", timeout=2)
    run = tasks.run_task("sync_external_data")

    def state() -> RunState:
        found = tasks.get_run(run.id)
        assert found is not None
        return found.state

    eventually(lambda: state() is RunState.RUNNING)
    tasks.cancel_run(run.id)
    eventually(lambda: state() is RunState.CANCELLED)
    assert tasks.ledger.document(NAME) is None


@pytest.mark.item("X59")
@pytest.mark.asyncio
async def test_a_bare_sync_fetches_and_stores_nothing(
    source: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no ledger to store it in."""
    monkeypatch.setenv("TASKRACK_MANAGER__SYNC_URL", f"{source}/document")
    found = await sync_external_data()
    assert found == {"changed": True, "etag": '"one"', "bytes": len(DOCUMENT)}
    assert [path.name for path in project.root.iterdir()] == ["config.json"]
