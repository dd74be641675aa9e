"""Recorded websockets played back: what a venue sent once, it sends again, to any number of clients."""
