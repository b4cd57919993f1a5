"""General tools for every other package of robench; they know nothing about attacks or defenses."""
