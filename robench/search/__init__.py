"""Searches, and the engine that runs many of them at once."""
