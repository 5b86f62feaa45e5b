"""The event log: no gap, no repeat, and readers that know what they missed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from fondaco.store import eventlog, limits
from fondaco.store.database import Database
from fondaco.store.eventlog import Bounds, LoggedEvent, NewEvent

ORDERS, GOODS = "zeroex", "market"


def event(topic: str = ORDERS, subject: bytes = b"hash", payload: bytes = b"{}") -> NewEvent:
    return NewEvent(topic=topic, subject=subject, payload=payload)


def sequences(events: Sequence[LoggedEvent]) -> list[int]:
    return [logged.sequence for logged in events]


def prune_all(connection: sa.Connection, *, older_than_ns: int = 0, max_rows: int = 10**9) -> int:
    while True:
        done = eventlog.prune(connection, older_than_ns=older_than_ns, max_rows=max_rows)
        if not done.has_more:
            return done.first_retained


def test_sequences_count_from_one_over_all_topics(connection: sa.Connection) -> None:
    assert eventlog.append(connection, [event(), event(GOODS)], now_ns=5) == range(1, 3)
    assert eventlog.append(connection, [event()], now_ns=6) == range(3, 4)
    assert eventlog.read_after(connection, ORDERS, 0, 10) == [
        LoggedEvent(sequence=1, recorded_at_ns=5, topic=ORDERS, subject=b"hash", payload=b"{}"),
        LoggedEvent(sequence=3, recorded_at_ns=6, topic=ORDERS, subject=b"hash", payload=b"{}"),
    ]


def test_no_events_take_no_sequence(connection: sa.Connection) -> None:
    eventlog.append(connection, [event()], now_ns=1)
    assert eventlog.append(connection, [], now_ns=1) == range(2, 2)
    assert eventlog.append(connection, [event()], now_ns=1) == range(2, 3)


async def test_a_transaction_taken_back_takes_its_sequences_back(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        assert eventlog.append(connection, [event()] * 3, now_ns=1) == range(1, 4)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    given = await database.write(lambda c: eventlog.append(c, [event()], now_ns=1))
    assert given == range(1, 2)


def test_a_sequence_is_never_given_twice(connection: sa.Connection) -> None:
    eventlog.append(connection, [event()] * 10, now_ns=1)
    assert prune_all(connection, max_rows=0) == 11
    assert eventlog.bounds(connection, ORDERS) == Bounds(first_retained=11, last=10)
    assert eventlog.append(connection, [event()], now_ns=1) == range(11, 12)


def test_a_page_starts_after_the_cursor_and_ends_at_the_limit(connection: sa.Connection) -> None:
    eventlog.append(connection, [event(), event(GOODS)] * 10, now_ns=1)
    assert sequences(eventlog.read_after(connection, ORDERS, 3, 4)) == [5, 7, 9, 11]
    assert sequences(eventlog.read_after(connection, GOODS, 18, 4)) == [20]
    assert eventlog.read_after(connection, GOODS, 20, 4) == []
    assert eventlog.read_after(connection, "nothing", 0, 4) == []


def test_bounds_tell_where_a_reader_may_start(connection: sa.Connection) -> None:
    assert eventlog.bounds(connection, ORDERS) == Bounds(first_retained=1, last=0)
    eventlog.append(connection, [event(), event(), event(GOODS)], now_ns=1)
    assert eventlog.bounds(connection, ORDERS) == Bounds(first_retained=1, last=2)
    assert eventlog.bounds(connection, GOODS) == Bounds(first_retained=1, last=3)
    prune_all(connection, max_rows=1)
    assert eventlog.bounds(connection, ORDERS) == Bounds(first_retained=3, last=2)
    assert eventlog.bounds(connection, GOODS) == Bounds(first_retained=3, last=3)


def test_the_story_of_one_subject(connection: sa.Connection) -> None:
    eventlog.append(connection, [event(subject=b"a"), event(subject=b"b")] * 5, now_ns=1)
    eventlog.append(connection, [event(GOODS, subject=b"a")], now_ns=1)
    assert sequences(eventlog.about(connection, ORDERS, b"a", 10)) == [1, 3, 5, 7, 9]
    assert sequences(eventlog.about(connection, ORDERS, b"a", 2)) == [7, 9]
    assert eventlog.about(connection, ORDERS, b"c", 10) == []


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (eventlog._AFTER, "event_log_by_topic (topic=? AND sequence>?)"),
        (eventlog._ABOUT, "event_log_by_subject (subject=?)"),
        (eventlog._LAST_OF_TOPIC, "event_log_by_topic (topic=?)"),
        (eventlog._OLDEST, "SCAN event_log"),
    ],
)
def test_reading_walks_an_index_without_sorting(
    connection: sa.Connection, statement: sa.Select[*tuple[object, ...]], index: str
) -> None:
    compiled = statement.compile(connection)
    parameters = tuple(1 for _ in compiled.positiontup or ())
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", parameters).all()
    assert index in str(plan)
    assert "TEMP B-TREE" not in str(plan)


# ---------------------------------------------------------------- pruning


def test_the_old_go_and_the_young_stay(connection: sa.Connection) -> None:
    for now_ns in (10, 20, 30):
        eventlog.append(connection, [event()] * 2, now_ns=now_ns)
    assert prune_all(connection, older_than_ns=10) == 1
    assert prune_all(connection, older_than_ns=30) == 5
    assert sequences(eventlog.read_after(connection, ORDERS, 0, 10)) == [5, 6]


def test_no_more_than_the_limit_stay_however_young(connection: sa.Connection) -> None:
    eventlog.append(connection, [event()] * 10, now_ns=1)
    assert prune_all(connection, max_rows=4) == 7
    assert sequences(eventlog.read_after(connection, ORDERS, 0, 10)) == [7, 8, 9, 10]


def test_a_clock_that_went_back_makes_no_gap(connection: sa.Connection) -> None:
    for now_ns in (10, 90, 20, 95):
        eventlog.append(connection, [event()], now_ns=now_ns)
    assert prune_all(connection, older_than_ns=50) == 2
    assert sequences(eventlog.read_after(connection, ORDERS, 0, 10)) == [2, 3, 4]


def test_one_step_is_bounded(connection: sa.Connection) -> None:
    step = limits.PRUNE_STEP_ROWS
    eventlog.append(connection, [event()] * (step + 1), now_ns=1)
    first = eventlog.prune(connection, older_than_ns=9, max_rows=10**9)
    assert (first.first_retained, first.removed, first.has_more) == (step + 1, step, True)
    last = eventlog.prune(connection, older_than_ns=9, max_rows=10**9)
    assert (last.first_retained, last.removed, last.has_more) == (step + 2, 1, False)


def test_an_empty_log_is_not_pruned(connection: sa.Connection) -> None:
    assert prune_all(connection, max_rows=0) == 1


async def test_others_write_between_the_steps(database: Database) -> None:
    rows = limits.PRUNE_STEP_ROWS * 5
    await database.write(lambda c: eventlog.append(c, [event()] * rows, now_ns=1))
    pruning = asyncio.create_task(
        eventlog.prune_in_steps(database, older_than_ns=9, max_rows=10**9)
    )
    await asyncio.sleep(0)
    given = await database.write(lambda c: eventlog.append(c, [event()], now_ns=10))
    assert given == range(rows + 1, rows + 2)
    assert not pruning.done()
    assert await pruning == rows + 1


def test_like_a_list_of_events(connection: sa.Connection) -> None:
    """The same random story, told by the log and by a list that is never cut by index."""
    chance = random.Random(20260701)
    model: list[LoggedEvent] = []
    last, now_ns, pruned_upto = 0, 0, 0
    for _ in range(300):
        now_ns += chance.randrange(5)
        new = [
            event(chance.choice((ORDERS, GOODS)), bytes([chance.randrange(6)]))
            for _ in range(chance.randrange(4))
        ]
        given = eventlog.append(connection, new, now_ns=now_ns)
        assert list(given) == list(range(last + 1, last + 1 + len(new)))
        for one in new:
            last += 1
            model.append(
                LoggedEvent(
                    sequence=last,
                    recorded_at_ns=now_ns,
                    topic=one.topic,
                    subject=one.subject,
                    payload=one.payload,
                )
            )
        if chance.random() < 0.2:
            age, rows = now_ns - chance.randrange(60), chance.randrange(20, 60)
            model = [e for e in model if e.recorded_at_ns >= age and e.sequence > last - rows]
            pruned_upto = max(pruned_upto, (model[0].sequence if model else last + 1) - 1)
            assert prune_all(connection, older_than_ns=age, max_rows=rows) == pruned_upto + 1
        topic, subject = chance.choice((ORDERS, GOODS)), bytes([chance.randrange(6)])
        since, limit = chance.randrange(last + 2), chance.randrange(1, 12)
        of_topic = [e for e in model if e.topic == topic]
        assert (
            eventlog.read_after(connection, topic, since, limit)
            == ([e for e in of_topic if e.sequence > since][:limit])
        )
        story = [e for e in of_topic if e.subject == subject][-limit:]
        assert eventlog.about(connection, topic, subject, limit) == story
        assert eventlog.bounds(connection, topic) == Bounds(
            first_retained=pruned_upto + 1,
            last=of_topic[-1].sequence if of_topic else pruned_upto,
        )
