"""The desk's HTTP API: Missions, Tasks, Conditions, templates, results, market data, and its metrics."""
