"""The shipped tasks: clean-up, daily report, mirror of a JSON document, health check.

The container finds ``taskplugins.py`` here at run time; the other modules are the bodies of its
tasks. Nothing imports this package but itself.
"""
