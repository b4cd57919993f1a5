"""Composer of the embedded task ``mini-reviews``: hand-written patterns, slot lists and synonyms in, three splits and a dictionary out."""
