"""Many nodes on one machine: how fast, how surely and at what cost orders reach them all.

    topology, plan, orders       what a run consists of, from its seed        [p] but orders
    addresses, proxy, linkmodel  the network between the nodes                [p] but proxy
    fleet, processes             nodes as processes, and what they use
    client, measurement          post, follow, compare, over JSON-RPC only
    sightings, figures           what is made of it                           [p]
    experiment                   all of it together: ``fondaco lab``

``measurement`` takes the addresses of running nodes and does not care who started them.
"""
