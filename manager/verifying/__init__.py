"""A ledger in use, held against what always holds of it."""

from manager.verifying.verification import Verifier

__all__ = ["Verifier"]
