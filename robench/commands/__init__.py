"""The commands of ``robench``, one module each.

Before a command runs, nothing heavier than click is imported.
"""
