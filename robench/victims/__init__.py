"""Victims: encoder, head and tokenisation; the defenses' hooks; the one fine-tuning loop."""
