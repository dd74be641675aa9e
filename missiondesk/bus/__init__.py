"""Messages between processes, for whoever listens at that moment: Postgres NOTIFY, or Redis by setting."""
