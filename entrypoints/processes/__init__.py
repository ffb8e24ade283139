"""The processes of the program: how they start, listen, keep each other alive, and end."""
