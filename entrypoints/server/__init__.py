"""The server: its processes, and the protocol that faces the network."""
