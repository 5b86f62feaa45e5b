"""The trio side: libp2p, hardened, and what moves bytes between it and the pure parts.

    process --> gossip, requests, discovery --> connections --> swarm, identify --> hardening
                    |  pubsub.router (pure)                        |  scores, budget (pure)

Runs in a process of its own; nothing here may be imported by the main process.
"""
