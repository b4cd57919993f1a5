"""Check records against their trials, victims and texts: what ``robench verify`` does."""
