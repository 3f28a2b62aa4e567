"""The models of the shop."""

from typing import Any

from database.db import Base
from sqlalchemy.orm import Mapped, mapped_column


class Product(Base):
    """Something to buy; ``price`` is in cents."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]

    def to_dict(self) -> dict[str, Any]:
        """Return the product as JSON values."""
        return {"id": self.id, "name": self.name, "price": self.price}
