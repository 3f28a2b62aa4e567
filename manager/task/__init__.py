"""The verbs on tasks."""
