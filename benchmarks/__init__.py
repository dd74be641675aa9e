"""Figures of speed, measured on the machine at hand."""
