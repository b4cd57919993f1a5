"""Evaluate defenses against attacks: plan a grid, run it, and sweep options."""
