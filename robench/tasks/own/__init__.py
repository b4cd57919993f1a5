"""Data of the user's own: a file or a dataset of the hub becomes a task at run time."""
