"""The HTTP API. It knows the port and the core, never an adapter."""
