"""Certificates: examples that no text of a space can change, proved without an attack."""
