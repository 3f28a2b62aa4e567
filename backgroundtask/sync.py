"""The mirror: a JSON document of the web, kept in the database's table ``documents``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from backgroundtask.download import fetch
from configurations import masked_url
from core.clock import SystemClock
from core.errors import StateError
from loggers import get_logger

if TYPE_CHECKING:
    from backgroundtask.surroundings import Surroundings
    from configurations import ManagerConfig
    from manager.storage import SqlLedger

NAME: Final = "sync_external_data"
"""Name under which the document is stored."""
_UNSET: Final = (
    "manager.sync_url is not set; give the http or https address of a JSON document in config.json"
)
_log = get_logger("backgroundtask")


async def mirror(around: Surroundings) -> dict[str, Any]:
    """Bring the stored document up to date.

    Without a container it is fetched and checked, and not stored.

    Returns:
        ``changed``: whether its content is new; ``etag``; ``bytes``: what came over the wire.

    Raises:
        StateError: A container runs it and ``manager.sync_url`` is not set.
        DownloadError: The document could not be fetched; what was stored stays.
    """
    section = around.config.manager
    if section.sync_url is not None:
        ledger = None if around.manager is None else around.manager.ledger
        return await asyncio.to_thread(bring_up_to_date, section.sync_url, section, ledger)
    if around.manager is not None:
        raise StateError(_UNSET)
    _log.warning(_UNSET)
    return {"changed": False, "etag": None, "bytes": 0}


def bring_up_to_date(url: str, section: ManagerConfig, ledger: SqlLedger | None) -> dict[str, Any]:
    """Fetch *url* and store what is new; a version that is known is not sent again."""
    source = masked_url(url)
    known = None if ledger is None else ledger.document(NAME)
    if known is not None and known["source"] != source:
        known = None  # another address has tags of its own
    etag = None if known is None else known["etag"]
    found = fetch(url, etag, section.sync_timeout)
    if found is None:
        return {"changed": False, "etag": etag, "bytes": 0}
    if ledger is not None:
        values = {"name": NAME, "source": source, "etag": found.etag, "body": found.body}
        ledger.store_document(values | {"fetched_at": SystemClock().now()})
    changed = known is None or known["body"] != found.body
    return {"changed": changed, "etag": found.etag, "bytes": found.size}
