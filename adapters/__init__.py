"""Adapters: the implementations behind the domain's ports."""
