"""The PostgreSQL adapter: SQLModel statements on psycopg 3."""
