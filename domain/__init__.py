"""The core: what a task is, which rules it obeys, and the port that keeps it. Imports the standard library alone."""
