"""The protocol that faces the network."""
