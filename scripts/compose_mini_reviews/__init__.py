"""Compose the embedded task ``mini-reviews``.

Three splits and a dictionary are made from hand-written patterns, slot lists and synonyms.
"""
