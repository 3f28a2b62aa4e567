"""The ledger on SQL databases."""

from manager.storage.database import Database
from manager.storage.ledger import SqlLedger

__all__ = ["Database", "SqlLedger"]
