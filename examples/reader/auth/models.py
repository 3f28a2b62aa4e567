"""The models of users."""

from datetime import datetime

from database.db import Base
from sqlalchemy.orm import Mapped, mapped_column


class UserSession(Base):
    """A login that is good until ``expires_at``, in UTC without an offset."""

    __tablename__ = "user_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user: Mapped[str]
    expires_at: Mapped[datetime]
