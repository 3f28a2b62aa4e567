"""Which process this is, and whether another one on this machine is still alive."""

from __future__ import annotations

import os
import secrets
import socket
from importlib import metadata
from pathlib import Path

from core.records import Node


def this_node(*, timed: bool) -> Node:
    """Return the identity of the calling process, new at each call."""
    host, pid = socket.gethostname(), os.getpid()
    return Node(
        id=f"{host}-{pid}-{secrets.token_hex(3)}",
        host=host,
        pid=pid,
        boot_id=_boot_id(),
        process_start=_process_start(pid),
        version=version(),
        timed=timed,
    )


def version() -> str:
    """Return the version of this distribution."""
    try:
        return metadata.version("taskrack")
    except metadata.PackageNotFoundError:
        return "unknown"


def is_known_dead(node: Node, here: Node) -> bool:
    """Tell whether *node* ran on this machine and is certainly gone; elsewhere only time tells."""
    if node.host != here.host:
        return False
    if node.boot_id != here.boot_id:
        return True
    if node.pid == here.pid:
        return node.process_start != here.process_start
    try:
        os.kill(node.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it lives under another user
    return node.process_start != _process_start(node.pid)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _process_start(pid: int) -> str:
    """Return the kernel's start time of a process, so that a reused pid is told apart."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = fields.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]
