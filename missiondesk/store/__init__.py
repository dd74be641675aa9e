"""Postgres: the database, its migrations, and one repository per concern."""
