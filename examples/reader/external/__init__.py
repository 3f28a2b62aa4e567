"""The API of somebody else; ``external_api_url`` in config.json says where it is."""

import asyncio
import json
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

from configurations import Xcorecfg


async def call_external_api() -> Any:  # noqa: ANN401 - any JSON value
    """Return the API's JSON; a relative address is a file below the project.

    Raises:
        OSError: nobody answers.
    """
    config = Xcorecfg.from_file("config.json")
    url = urljoin(f"{config.folder.as_uri()}/", config.external_api_url)
    return await asyncio.to_thread(_read, url)


def _read(url: str) -> Any:  # noqa: ANN401 - any JSON value
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - config.json is the operator's own
        return json.load(answer)
