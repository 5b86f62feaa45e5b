"""Fondaco: a peer-to-peer market node."""
