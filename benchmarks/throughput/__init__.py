"""The parts of ``attack_throughput.py``: what is attacked, who attacks it, and what the figures mean."""
