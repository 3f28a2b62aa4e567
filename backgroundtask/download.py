"""Fetches a JSON document over HTTP, bounded in time, size and redirects."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from configurations import masked_url
from core.clock import SystemClock
from core.errors import TaskrackError
from manager import current_run

if TYPE_CHECKING:
    from email.message import Message
    from typing import IO

SIZE_LIMIT: Final = 10 * 1024 * 1024
REDIRECT_LIMIT: Final = 5
_CHUNK: Final = 65_536
_SHOWN: Final = 60
_SCHEMES: Final = ("http", "https")


class DownloadError(TaskrackError, RuntimeError):
    """A document could not be fetched; what was there before stays.

    Attributes:
        url: Address without its secrets.
        reason: What was expected and what was found.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = masked_url(url)
        self.reason = masked_url(reason)
        super().__init__(f"{self.url}: {self.reason}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON document as a server gave it.

    Attributes:
        size: Bytes that came over the wire.
    """

    body: Any
    etag: str | None
    size: int


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows few redirects, and only to the web."""

    max_redirections = REDIRECT_LIMIT

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request.

        Raises:
            DownloadError: It would leave http and https.
        """
        try:
            _check_scheme(req.full_url, newurl)
        except DownloadError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def fetch(url: str, etag: str | None, timeout: float, limit: int = SIZE_LIMIT) -> Answer | None:
    """Return the document at *url*, or ``None`` where it still has *etag*.

    Args:
        url: An http or https address.
        etag: The tag of the version that is known.
        timeout: Seconds for the whole exchange.
        limit: Most bytes of the body.

    Raises:
        DownloadError: There is no answer in time, or it is no JSON document of that size.
    """
    _check_scheme(url, url)
    end = SystemClock().monotonic() + timeout
    headers = {"Accept": "application/json", "User-Agent": "taskrack"}
    if etag is not None:
        headers["If-None-Match"] = etag
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - its scheme is checked
    try:
        with _opener().open(request, timeout=timeout) as response:
            data = _read(response, url, end, limit)
            return Answer(_parsed(data, url), response.headers.get("ETag"), len(data))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.NOT_MODIFIED and etag is not None:
                return None
            reason = " ".join(str(error.reason).split())
        raise DownloadError(url, f"the server answered {error.code} {reason}") from error
    except TimeoutError as error:
        raise _late(url) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), TimeoutError):
            raise _late(url) from error
        said = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise DownloadError(url, f"no answer: {said}") from error


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http, https and the proxies of the environment, no files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _check_scheme(url: str, target: str) -> None:
    scheme = urlsplit(target).scheme.lower()
    if scheme not in _SCHEMES:
        raise DownloadError(url, f"expected an http or https address, got {target!r}")


def _read(response: http.client.HTTPResponse, url: str, end: float, limit: int) -> bytes:
    """Return the body, read piece by piece so that time, size and a stop are noticed."""
    announced = response.headers.get("Content-Length", "")
    length = int(announced) if announced.isdecimal() else None
    run, clock, data = current_run(), SystemClock(), bytearray()
    while length is None or len(data) < length:
        if max(len(data), length or 0) > limit:
            raise DownloadError(url, f"the body is larger than {limit} bytes")
        if clock.monotonic() > end:
            raise _late(url)
        if run is not None and run.stopping:
            raise DownloadError(url, "the download was asked to stop")
        piece = response.read1(_CHUNK)
        if not piece:
            break
        data += piece
    if length is not None and len(data) < length:
        raise DownloadError(url, f"the body ended after {len(data)} of {length} bytes")
    return bytes(data)


def _late(url: str) -> DownloadError:
    return DownloadError(url, "no whole answer in time; manager.sync_timeout says how long to wait")


def _parsed(data: bytes, url: str) -> Any:  # noqa: ANN401 - JSON is any
    try:
        body = json.loads(data)
        json.dumps(body, allow_nan=False)
    except (ValueError, RecursionError) as error:
        start = data[:_SHOWN].decode("utf-8", "replace")
        raise DownloadError(url, f"expected JSON, got {start!r} ({error})") from error
    return body
