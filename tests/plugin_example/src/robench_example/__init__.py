"""Plugins for robench: a defense, an attack and a task, each in a module of its own so that listing and choosing import only what is asked for."""
