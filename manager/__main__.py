"""``python -m manager`` is ``taskrack``."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line; until a verb listens itself, Ctrl-C ends the process at once.

    An exception would be lost where it meets a callback of an extension module, as while the
    schemas are made, and the container would start although it was told to stop.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from manager.cli.main import main as command_line  # noqa: PLC0415 - after the signal is settled

    command_line()


if __name__ == "__main__":
    main()
