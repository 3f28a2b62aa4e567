"""``python -m tests.simulation SEED``: play one seed again, exactly, and say what was wrong."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.playing import played


def main() -> None:
    """Play the seeds of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED")
    parser.add_argument("--days", type=int, default=7)
    asked = parser.parse_args()
    broken = 0
    for seed in asked.seeds:
        found = played(seed, asked.days)
        broken += bool(found.complaints)
        print(f"seed {seed}: {found.digest}, {found.runs} runs, {found.calls} calls")  # noqa: T201 - a program
        for complaint in found.complaints:
            print(f"  {complaint}")  # noqa: T201 - the same
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
