"""Data that ship inside the package: the mini task, its substitutions, the tiny encoder, Punkt parameters."""
