"""Market data in Postgres: arrays in and out by binary COPY, upserts that touch only what differs."""
