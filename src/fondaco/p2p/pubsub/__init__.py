"""Gossip: one message from any node to all, over ``/meshsub/1.1.0`` and ``/meshsub/1.0.0``.

       frame bytes                     Ready(peer): take(peer) has a frame to write
            |                                     ^
    framing, rpc  -->  router  <-->  mesh, outbox, cache, seen, promises, scores
                          |   ^
       Deliver(message)   v   |   verdict(message_id): accept, ignore, reject
                    whoever reads messages

Nothing in here waits, reads a clock or draws a random number: the time is an argument of
every call, chance is handed in, and the shell that owns the streams moves the bytes.
"""
