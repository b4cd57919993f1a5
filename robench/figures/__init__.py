"""Figures of the RIFT paper, drawn from victims and records. They need the extra ``plots``."""
