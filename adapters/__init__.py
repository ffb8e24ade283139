"""Driven adapters: what the core's ports stand on."""
