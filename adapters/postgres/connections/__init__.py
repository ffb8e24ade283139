"""Connections to PostgreSQL: opened, shared, bounded in time, and guarded. Knows no task."""
