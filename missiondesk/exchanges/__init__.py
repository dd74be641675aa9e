"""Exchanges behind one port: ccxt, paper, and the local sandbox that speaks the wire protocol."""
