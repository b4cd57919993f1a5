"""The static site of boards and the page of one run: pages, templates and bundled scripts."""
