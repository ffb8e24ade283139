"""The HTTP API. It imports the domain and its port, never an adapter."""
