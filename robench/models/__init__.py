"""Classifiers: encoder and head, the trained victim, and the checks that it passes."""
