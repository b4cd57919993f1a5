"""Submissions: the results of a run as one archive, and the way of its records onto a board."""
