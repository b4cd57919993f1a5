"""The one fine-tuning loop and what surrounds it."""
