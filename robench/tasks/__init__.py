"""Tasks: where examples come from, and which 1000 are judged. One file a task."""
