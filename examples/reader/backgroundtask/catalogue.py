"""The shop's products: a task with a database, a cache and a plugin's model."""

from cache import CacheManager
from database.db import SessionLocal

from loggers import get_logger

logger = get_logger("backgroundtask")
cache = CacheManager()


async def refresh_cache_data() -> int:
    """Refresh cached data from the database."""
    db = SessionLocal()
    try:
        from plugins.my_plugin.models import Product  # noqa: PLC0415 - late imports work here

        products = db.query(Product).all()
        for product in products:
            await cache.set(f"product:{product.id}", product.to_dict(), ttl=3600)
        logger.info("Refreshed %s products in cache", len(products))
    finally:
        db.close()
    return len(products)


TASK_DEFINITIONS = [
    {
        "id": "refresh_cache_data",
        "name": "Refresh Cache Data",
        "func": refresh_cache_data,
        "trigger": "interval",
        "trigger_args": {"minutes": 30},
        "enabled": True,
        "max_retries": 3,
        "timeout": 300,
    },
]
