"""Tells people what happened: the channels that messages leave by, and the one that delivers them."""
