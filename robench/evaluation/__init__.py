"""The grid: every defense against every attack on every task, seed by seed."""
