"""The ledger on SQL databases."""

from manager.storage.ledger import SqlLedger
from manager.storage.reading import Reading

__all__ = ["Reading", "SqlLedger"]
