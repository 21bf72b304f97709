"""Processes that the server starts and keeps alive."""
