"""What is the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PRINT = """
from core.definition import TaskDefinition
from core.policy import RetryPolicy
print(TaskDefinition(id="a", name="a", func=int, trigger="cron", trigger_args={"hour": 1},
    retry=RetryPolicy(retry_on=frozenset("abcdefgh"))).fingerprint)
"""


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """Hash seeds order sets differently, and it does not show."""
    prints = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", _PRINT],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        prints.add(done.stdout)
    assert len(prints) == 1
