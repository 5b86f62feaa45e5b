"""The floor that talks to other nodes: links, gossip and set reconciliation.

It knows topics, peers, streams and 32-byte ids. What an id stands for, and whether a
message is worth passing on, is decided above.
"""
