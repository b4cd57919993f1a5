"""The parts of ``attack_throughput.py``: victims and texts, the contestants, and the report."""
