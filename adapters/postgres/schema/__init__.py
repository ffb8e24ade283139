"""The schema: its revisions, whether a database has it, and how it is distributed."""
