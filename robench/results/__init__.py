"""Records, statistics and boards."""
