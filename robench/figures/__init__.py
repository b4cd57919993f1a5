"""Figures, for whoever has the extra ``plots``: what the RIFT paper draws, from victims and records."""
