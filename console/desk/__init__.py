"""Starts, watches and stops the processes that a desk is made of."""
