"""A local exchange that speaks a real venue's wire protocol, so that real clients can be pointed at it."""
