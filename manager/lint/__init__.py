"""Looks over the definitions of a project for what is valid and probably not meant."""

from manager.lint.findings import Finding, Rule, Severity
from manager.lint.linting import RULES, RuleChoice, is_in_order, lint

__all__ = ["RULES", "Finding", "Rule", "RuleChoice", "Severity", "is_in_order", "lint"]
