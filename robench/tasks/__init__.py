"""Tasks: where examples come from, and which 1000 of them are judged. One file holds one task."""
