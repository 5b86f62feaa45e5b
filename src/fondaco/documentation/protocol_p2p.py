"""docs/protocol-p2p.md: what nodes say to each other.

The prose and its worked examples stand in ``protocol-p2p.md`` beside this module; a line
``{{name}}`` in it is replaced by a table that is printed from the declarations. The examples
are not printed: a change of what goes over the wire has to fail the test that reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files

from fondaco.documentation.tables import constants, limits_table, sections, shown, table
from fondaco.errors import Verdict
from fondaco.p2p import limits as p2p_limits
from fondaco.p2p.pubsub.parameters import Parameters
from fondaco.p2p.scores import PENALTIES, Offence
from fondaco.zeroex import limits as zeroex_limits
from fondaco.zeroex import sync_schedule
from fondaco.zeroex.errors import RejectionCode
from fondaco.zeroex.gossip import Fate
from fondaco.zeroex.offences import WEIGHTS
from fondaco.zeroex.refused_orders import BY_CHAIN, OF_THE_COPY, first_seconds

TEMPLATE = "protocol-p2p.md"

_PLACE = re.compile(r"^\{\{(\w+)\}\}$", re.MULTILINE)

NOT_FOR_PEERS = frozenset({"the link between the processes", "the child process"})
"""Sections of ``p2p.limits`` that no peer can run into."""

NOT_BETWEEN_NODES = frozenset({""})
"""The same of ``zeroex.limits``: rules of orders, printed on the page for clients."""


def p2p_page() -> str:
    """Return docs/protocol-p2p.md."""
    text = (files("fondaco.documentation") / TEMPLATE).read_text(encoding="utf-8")
    return _PLACE.sub(lambda match: _PARTS[match[1]](), text)


def _parameters() -> str:
    rows = [(f"`{one.name}`", shown(one.value), one.text) for one in constants(Parameters)]
    return table(("number", "value", "meaning"), rows)


def _fates() -> str:
    return table(
        ("an order is", "when"),
        [(f"`{Fate[one.name].value}`", one.text) for one in constants(Fate)],
    )


def _code_fates() -> str:
    rows = [
        (
            f"`{fate.value}`",
            ", ".join(f"`{code.code}`" for code in RejectionCode if code.verdict is verdict),
        )
        for fate, verdict in ((Fate.INVALID, Verdict.REJECT), (Fate.REFUSED, Verdict.IGNORE))
    ]
    return table(("an order is", "refused by"), rows)


def _refusals() -> str:
    """Group the codes by what follows from them, the longest time first."""
    groups: dict[tuple[float, bool], list[str]] = {}
    for code in RejectionCode:
        key = (first_seconds(code.code, code.verdict), code in OF_THE_COPY)
        groups.setdefault(key, []).append(f"`{code.code}`")
    rows = [
        (
            f"{seconds:,g} s{' and a newer block' if seconds == BY_CHAIN else ''}",
            "of the copy" if is_of_copy else "of the order",
            ", ".join(codes),
        )
        for (seconds, is_of_copy), codes in sorted(groups.items(), reverse=True)
    ]
    return table(("not again for", "held against", "codes"), rows)


def _offences() -> str:
    texts = {one.name: one.text for one in constants(Offence)}
    rows = [
        (
            f"`{offence.value}`",
            f"{penalty.points:g}",
            "" if penalty.ceiling is None else f"{penalty.ceiling:g}",
            texts[offence.name],
        )
        for offence, penalty in PENALTIES.items()
    ]
    return table(("offence", "points", "ceiling", "what was done"), rows)


def _faults() -> str:
    rows = [
        (fault.value, f"`{offence.value}`", f"{PENALTIES[offence].points * weight:g}")
        for fault, (offence, weight) in WEIGHTS.items()
    ]
    return table(("a peer", "offence", "points"), rows)


def _limits() -> str:
    parts = []
    for floor, module, left_out in (
        ("", p2p_limits, NOT_FOR_PEERS),
        ("orders: ", zeroex_limits, NOT_BETWEEN_NODES),
    ):
        for title, found in sections(module).items():
            if title not in left_out:
                heading = f"{floor}{title}"
                parts.append(f"### {heading[0].upper()}{heading[1:]}\n\n{limits_table(found)}")
    return "\n\n".join(parts)


_PARTS: dict[str, Callable[[], str]] = {
    "parameters": _parameters,
    "fates": _fates,
    "code_fates": _code_fates,
    "schedule": lambda: limits_table(constants(sync_schedule)),
    "refusals": _refusals,
    "offences": _offences,
    "faults": _faults,
    "limits": _limits,
}
"""What stands for a placeholder of the template."""
