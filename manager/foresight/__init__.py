"""What tasks will do, and why they did what they did."""

from manager.foresight.explaining import Explainer
from manager.foresight.forecasting import Foreteller, span_of
from manager.foresight.planned import Outlook, Planned, instants, look_ahead, pairs, planned_of

__all__ = [
    "Explainer",
    "Foreteller",
    "Outlook",
    "Planned",
    "instants",
    "look_ahead",
    "pairs",
    "planned_of",
    "span_of",
]
