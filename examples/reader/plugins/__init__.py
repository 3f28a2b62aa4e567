"""The application's plugins."""
