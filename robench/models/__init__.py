"""A classifier, and how it is asked."""
