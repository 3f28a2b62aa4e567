"""The application's own database."""
