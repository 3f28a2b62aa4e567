"""A module that starts a thread when it is imported, which no module should."""

from __future__ import annotations

import threading

threading.Thread(target=threading.Event().wait, name="restless", daemon=True).start()
