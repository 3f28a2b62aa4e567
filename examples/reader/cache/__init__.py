"""A cache with a time to live: in Redis where one is named and answers, else in memory."""

import importlib
import json
import os
import time
from typing import Any

_memory: dict[str, tuple[str, float | None]] = {}


class CacheManager:
    """Keeps JSON values under text keys.

    Args:
        url: Address of a Redis server; ``REDIS_URL`` where it is left out. Without one, without
            the package ``redis``, or while the server does not answer, this process's memory is
            the cache. Nothing is connected before the first use.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url or os.environ.get("REDIS_URL")

    async def set(self, key: str, value: object, ttl: float | None = None) -> None:
        """Keep *value* for *ttl* seconds, or until it is replaced."""
        text = json.dumps(value)
        if not await self._call("set", key, text, px=None if ttl is None else int(ttl * 1000)):
            _memory[key] = (text, None if ttl is None else _second() + ttl)

    async def get(self, key: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return what is kept under *key*; ``None`` where there is nothing, or no longer."""
        answer = await self._call("get", key)
        if answer:
            return None if answer[0] is None else json.loads(answer[0])
        text, until = _memory.get(key, ("null", None))
        if until is not None and until <= _second():
            _memory.pop(key, None)
            return None
        return json.loads(text)

    async def _call(self, verb: str, *args: str, **options: object) -> tuple[Any] | None:
        """Return Redis' answer in a tuple, or ``None`` where no Redis answers."""
        if self._url is None:
            return None
        try:
            redis = importlib.import_module("redis.asyncio")
        except ImportError:
            return None
        try:
            async with redis.from_url(self._url) as client:
                return (await getattr(client, verb)(*args, **options),)
        except (OSError, redis.RedisError):
            return None


def _second() -> float:
    return time.monotonic()  # noqa: TID251 - an application asks the time itself
