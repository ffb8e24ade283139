"""The core: what a task is, the rules it obeys, and the port that keeps it. Imports only the standard library."""
