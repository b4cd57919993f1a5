"""What several attacks and defenses share; public, for plugins."""
