"""Connections to PostgreSQL: opens, shares and guards them, and limits their time. Knows nothing of tasks."""
