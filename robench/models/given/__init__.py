"""Victims that robench did not train: given models and Python functions."""
