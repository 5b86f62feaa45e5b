"""When each order was posted, and when each node told of it: a table of times. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

NEVER = float("inf")
"""The time of what has not happened."""


class Sightings:
    """One row per node, one column per order; all times by the same clock."""

    def __init__(self, names: Sequence[str], nodes: int) -> None:
        """*names* are the order hashes, as nodes spell them."""
        self._columns = {name: column for column, name in enumerate(names)}
        self._posted = array("d", [NEVER]) * len(names)
        self._origins = array("i", [-1]) * len(names)
        self._seen = [array("d", [NEVER]) * len(names) for _ in range(nodes)]
        self._counts = [0] * nodes
        self._refused: dict[int, str] = {}
        self.last_news = 0.0
        """When something happened last."""

    @property
    def orders(self) -> int:
        """How many orders there are."""
        return len(self._posted)

    @property
    def nodes(self) -> int:
        return len(self._seen)

    @property
    def refusals(self) -> dict[int, str]:
        """Order -> code with which its node refused it for good."""
        return dict(self._refused)

    def posted(self, node: int, orders: Iterable[int], at: float) -> None:
        """*orders* were sent to *node*. The first time counts where one is sent again."""
        for order in orders:
            if self._origins[order] < 0:
                self._posted[order] = at
                self._origins[order] = node
        self.last_news = at

    def refused(self, order: int, code: str) -> None:
        """The node it was sent to will not have *order*; nobody is waited for."""
        self._refused[order] = code

    def seen(self, node: int, names: Iterable[str], at: float) -> None:
        """*node* told that it has stored these orders. Others than ours do not count."""
        row = self._seen[node]
        for name in names:
            column = self._columns.get(name)
            if column is not None and row[column] == NEVER:
                row[column] = at
                self._counts[node] += 1
                self.last_news = at

    def count(self, node: int) -> int:
        """Return how many of the orders *node* has told of."""
        return self._counts[node]

    @property
    def pairs(self) -> int:
        """Pairs of a node and an order it has told of."""
        return sum(self._counts)

    @property
    def wanted(self) -> int:
        """Orders that every node is to have."""
        return self.orders - len(self._refused)

    @property
    def is_complete(self) -> bool:
        """Whether every node has every order that was not refused."""
        return self.pairs >= self.wanted * self.nodes

    def waits(self, node: int | None = None) -> Iterator[float]:
        """Yield the seconds from posting an order to each other node's telling of it.

        Args:
            node: only what this node told of.
        """
        rows = range(self.nodes) if node is None else (node,)
        for row in rows:
            for order, at in enumerate(self._seen[row]):
                if at != NEVER and self._origins[order] not in (row, -1):
                    yield at - self._posted[order]

    def acceptances(self) -> Iterator[float]:
        """Yield the seconds from posting each order to the telling of the node it went to."""
        for order, node in enumerate(self._origins):
            if node >= 0 and self._seen[node][order] != NEVER:
                yield self._seen[node][order] - self._posted[order]

    def arrivals(self) -> int:
        """Return how many pairs of an order and a node it was not posted to there are."""
        return sum(1 for _ in self.waits())

    def posted_to(self, node: int) -> int:
        """Return how many orders were posted to *node*."""
        return sum(1 for origin in self._origins if origin == node)

    @property
    def first_posted(self) -> float:
        """When the first order was posted; NEVER before."""
        return min(self._posted, default=NEVER)

    @property
    def last_accepted(self) -> float:
        """When the last order was told of by the node it went to; 0.0 before the first."""
        found = [self._seen[n][order] for order, n in enumerate(self._origins) if n >= 0]
        return max((at for at in found if at != NEVER), default=0.0)

    @property
    def last_seen(self) -> float:
        """When a node last told of an order; 0.0 before the first."""
        return max((at for row in self._seen for at in row if at != NEVER), default=0.0)
