"""Sessions on the application's SQLite file, which lies beside config.json."""

from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker
from sqlalchemy.pool import NullPool

FILE = Path(__file__).parents[1] / "application.db"


class Base(DeclarativeBase):
    """Base of the application's models."""


engine = create_engine(f"sqlite:///{FILE}", poolclass=NullPool)
SessionLocal = sessionmaker(engine)
