"""The desk without Prefect: engine, templates, market data, exchanges, orders and the store."""
