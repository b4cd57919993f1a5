"""Attack one example, and thousands of them at once."""
