"""The program's processes: how they start, listen, replace each other and end."""
