"""Plugins for robench: a defense, an attack and a task.

Each has a module of its own, so that robench imports only the plugin that is used.
"""
