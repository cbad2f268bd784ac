"""The service that hosts the analyses, owns the sessions and runs the handlers."""
