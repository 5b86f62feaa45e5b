"""Figures of the design, each measured beside its floor in the same run."""
