"""No counter is dead: one scene after the other moves them all."""

from __future__ import annotations

import msgspec

from fondaco.errors import Verdict
from fondaco.p2p import limits
from fondaco.p2p.pubsub.counters import Counters
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.pubsub.rpc import IHave
from support.gossip_bench import ME, NOW_NS, PEERS, TOPIC, message, subscribed_bench


def test_every_counter_counts() -> None:
    bench = subscribed_bench(Parameters(messages_per_second=2_000.0, messages_burst=2_000.0))
    bench.join(0, 1, 3, 4, is_grafted=True)
    bench.join(2)
    accepted, ignored, rejected, forgotten = (message() for _ in range(4))
    for one, verdict in (
        (accepted, Verdict.ACCEPT),
        (ignored, Verdict.IGNORE),
        (rejected, Verdict.REJECT),
    ):
        bench.says(0, publish=[one])
        bench.says(1, publish=[one])
        bench.router.verdict(one.message_id, verdict, bench.now)
    bench.router.publish(TOPIC, b"mine", bench.now, NOW_NS)
    bench.beat()
    bench.hears(2)
    bench.says(2, iwant=[accepted.message_id])
    unasked, lost = message(), message()
    bench.says(2, ihave=[IHave(TOPIC, (unasked.message_id, lost.message_id))])
    bench.says(2, publish=[unasked, ME.write(TOPIC, b"echo", NOW_NS)])
    bench.router.verdict(unasked.message_id, Verdict.IGNORE, bench.now)
    bench.says(1, publish=[forgotten])
    bench.beat(62)
    flood = [message() for _ in range(2_100)]
    bench.says(1, publish=flood)
    assert bench.router.validating == limits.MAX_PEER_VALIDATIONS
    for number in range(12):
        bench.router.publish(TOPIC, bytes(500_000), bench.now, NOW_NS + number)
    assert bench.router.queued(PEERS[2])[1] <= limits.MAX_QUEUED_BYTES
    counts = msgspec.structs.asdict(bench.router.counters)
    assert counts["forwarded"] == 2, "two of the four members had brought it"
    assert [name for name, count in counts.items() if not count] == []
    assert counts["received"] == sum(
        counts[name] for name in ("duplicates", "delivered", "unwanted", "flood", "crowded")
    )
    judged = counts["accepted"] + counts["ignored"] + counts["rejected"]
    assert counts["delivered"] == judged + bench.router.validating
    assert msgspec.structs.asdict(Counters())["received"] == 0
