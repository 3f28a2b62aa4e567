"""Makes the tables and some rows to work on: ``python -m database.samples``."""

from datetime import UTC, datetime, timedelta

from auth.models import UserSession
from plugins.my_plugin.models import Product

from database.db import Base, SessionLocal, engine


def fill() -> None:
    """Make the tables anew, with an expired session, a valid one and two products."""
    now = datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251 - an application asks the time itself
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with SessionLocal.begin() as db:
        db.add_all(
            [
                UserSession(user="ann", expires_at=now - timedelta(days=1)),
                UserSession(user="ben", expires_at=now + timedelta(days=1)),
                Product(name="chair", price=4900),
                Product(name="table", price=19900),
            ]
        )


if __name__ == "__main__":
    fill()
    print("made the tables, two sessions and two products")
