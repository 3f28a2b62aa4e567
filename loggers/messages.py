"""From a message and its arguments to one text, in loguru's style and in that of ``logging``."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a template that does not fit its arguments, or an argument without a text, may raise.
FAULTS: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _EveryArgument(string.Formatter):
    """Brace formatting that refuses to drop a positional argument."""

    def check_unused_args(
        self,
        used_args: set[int | str],
        args: Sequence[object],
        kwargs: Mapping[str, object],  # noqa: ARG002  # the base class passes it
    ) -> None:
        """Raise ValueError when the template leaves a positional argument out."""
        if any(index not in used_args for index in range(len(args))):
            raise ValueError("an argument has no place in the message")


_BRACES: Final = _EveryArgument()


def compose(message: object, args: tuple[object, ...], fields: Mapping[str, object]) -> str:
    """Return the text of a log call; no argument is ever lost and nothing is raised.

    A message without arguments is printed as it is, braces and percent signs included. With
    arguments, ``{}`` is tried first, then ``%s``; where neither fits, the arguments follow the
    message as a tuple.

    Args:
        message: The template, or any object whose text is the message.
        args: Positional arguments, for either style.
        fields: Named arguments, for braces only.
    """
    try:
        template = str(message)
    except FAULTS:
        template = f"<{type(message).__name__} without a text>"
    if not args and not fields:
        return template
    if "{" in template:
        try:
            return _BRACES.vformat(template, args, fields)
        except FAULTS:
            pass  # braces that are no fields: the other style is tried
    return _percent(template, args) if args else template


def _percent(template: str, args: tuple[object, ...]) -> str:
    """Format as ``logging`` does; put the arguments behind the message where that fails."""
    single = args[0]
    values = single if len(args) == 1 and isinstance(single, Mapping) and single else args
    try:
        return template % values
    except FAULTS:
        pass
    try:
        return f"{template} {args!r}"
    except FAULTS:
        return f"{template} ({len(args)} arguments without a text)"
