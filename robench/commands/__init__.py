"""The commands of ``robench``: one file each, thin. Nothing heavier than click is imported before a command runs."""
