"""Which stored orders does an event on the chain concern, and which does time?

    ContractEvent --> keys it names --> groups of orders --> filter by the event's rule
    block time    --> buckets by expiration

Rules, by event (0x Mesh v9.3; a superset of v6's):

    ERC20 Transfer, WETH Deposit, Withdrawal   makers named, that token as asset or fee
    ERC20 Approval                             owner, if the spender is the ERC20 proxy of
                                               the order's version
    ERC721 Transfer, Approval                  parties named, that token ID
    ERC721 and ERC1155 ApprovalForAll          owner, that contract, if the operator is the
                                               proxy of the order's version
    ERC1155 Transfer…                          parties named, that contract
    Fill, Cancel                               the order of that hash
    CancelUpTo                                 the maker's orders of that version and sender
                                               with salt <= orderEpoch
    SignatureValidatorApproval                 the signer's orders whose signature only a
                                               contract can judge (never shown to clients)

Members of a basket count one by one. Selecting too much costs a read, selecting too
little an order that is wrong for good, so doubt selects. A Chai bridge is watched
through the maker's Chai. Nothing on the chain announces that a contract wallet changes
its mind, that a hash was pre-signed, that Chai earned interest or what a StaticCall
would answer: those orders change when the hourly cleanup looks at them again.

Removed orders stay in the index as long as they are stored: events of a
reorganisation, or new funds, bring them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fondaco.chain.contracts import ChainContracts, Deployment
from fondaco.zeroex import signatures
from fondaco.zeroex.contract_events import ContractEvent, ContractRole, EventKind
from fondaco.zeroex.expiries import Expiries, OrderGroup
from fondaco.zeroex.order import NULL_ADDRESS, OrderHash, ProtocolVersion, SignedOrder
from fondaco.zeroex.watch_keys import WatchKeys, token_key

_STORED = 1
_REMOVED = 2
_CONTRACT_SIGNED = 4
_PINNED = 8
_EXOTIC = 16
# Bits of an entry's flags.


class _Contract(msgspec.Struct, gc=False):
    """A contract in one role."""

    address: bytes
    role: ContractRole
    orders: int = 0
    """How many orders make it known."""


class _Entry(msgspec.Struct, gc=False):
    """What must be known of an order to apply the rules and to forget it again."""

    version: ProtocolVersion
    salt: int
    expiration: int
    sender: bytes
    flags: int
    groups: tuple[OrderGroup, ...]
    contracts: tuple[_Contract, ...]


class Census(msgspec.Struct, gc=False):
    """How many orders of one version are stored."""

    stored: int = 0
    """Removed ones included."""
    removed: int = 0
    """Of them, those flagged removed."""
    pinned: int = 0
    """Of them, those that never make room for others."""


class WatchIndex:
    """The stored orders, by what can move them. One per node; not for several threads.

    Args:
        contracts: the exchanges are known from the start, and the proxies decide which
            approvals matter.
        zrx_asset_data: fee asset of v2 orders.
    """

    def __init__(self, contracts: ChainContracts, zrx_asset_data: bytes = b"") -> None:
        self._deployments: dict[ProtocolVersion, Deployment] = {}
        self._roles: dict[bytes, ContractRole] = {}
        for version, deployment, role in (
            (ProtocolVersion.V2, contracts.v2, ContractRole.EXCHANGE_V2),
            (ProtocolVersion.V3, contracts.v3, ContractRole.EXCHANGE_V3),
        ):
            if deployment is not None:
                self._deployments[version] = deployment
                known = self._roles.get(deployment.exchange, ContractRole.NONE)
                self._roles[deployment.exchange] = known | role
        self._keys = WatchKeys(self._deployments, zrx_asset_data)
        self._erc20_spenders = _versions_by_proxy(self._deployments, "erc20_proxy", "chai_bridge")
        self._erc721_operators = _versions_by_proxy(self._deployments, "erc721_proxy")
        self._erc1155_operators = _versions_by_proxy(self._deployments, "erc1155_proxy")
        self._contracts: dict[tuple[bytes, ContractRole], _Contract] = {}
        self._entries: dict[OrderHash, _Entry] = {}
        self._groups: dict[bytes, OrderGroup] = {}
        self._pending: dict[OrderHash, _Pending] = {}
        self._expiries = Expiries()
        self._census = {version: Census() for version in ProtocolVersion}

    @property
    def census(self) -> Mapping[ProtocolVersion, Census]:
        """The counts of each version, kept current."""
        return self._census

    @property
    def count(self) -> int:
        """Number of stored orders, removed ones included and pending ones not."""
        return sum(census.stored for census in self._census.values())

    @property
    def removed_count(self) -> int:
        """How many of them are flagged removed."""
        return sum(census.removed for census in self._census.values())

    @property
    def pinned_count(self) -> int:
        """How many of them never make room for others."""
        return sum(census.pinned for census in self._census.values())

    def hashes(self) -> list[OrderHash]:
        """Return the stored orders, removed ones included."""
        return [name for name, entry in self._entries.items() if entry.flags & _STORED]

    def asks_alone(self, order_hash: OrderHash) -> bool:
        """Return whether each look at a stored order costs a question of its own."""
        entry = self._entries.get(order_hash)
        return entry is not None and bool(entry.flags & (_CONTRACT_SIGNED | _EXOTIC))

    def __contains__(self, order_hash: object) -> bool:
        """Whether the order is stored (pending alone does not count)."""
        entry = self._entries.get(order_hash)  # type: ignore[call-overload]
        return entry is not None and bool(entry.flags & _STORED)

    def role(self, address: bytes) -> ContractRole:
        """Return what the contract at *address* is to the orders here (KnownContracts)."""
        return self._roles.get(address, ContractRole.NONE)

    # -- members ---------------------------------------------------------------

    def add(
        self,
        order_hash: OrderHash,
        order: SignedOrder,
        *,
        is_removed: bool = False,
        is_pinned: bool = False,
    ) -> None:
        """Watch a stored order. Adding it again only sets whether it is removed.

        Args:
            order_hash: its name.
            order: the order.
            is_removed: it is kept, but not on offer.
            is_pinned: it never makes room for others; only counted here.
        """
        entry = self._entry(order_hash, order)
        if not entry.flags & _STORED:
            entry.flags |= _STORED | (_PINNED if is_pinned else 0)
            census = self._census[entry.version]
            census.stored += 1
            census.pinned += is_pinned
            self._expiries.add(entry.expiration, order_hash)
        self.set_removed(order_hash, is_removed)

    def set_removed(self, order_hash: OrderHash, is_removed: bool) -> None:
        """Note whether a stored order is flagged removed: time acts on it accordingly."""
        entry = self._entries.get(order_hash)
        if entry is None or not entry.flags & _STORED:
            return
        if bool(entry.flags & _REMOVED) is not is_removed:
            entry.flags ^= _REMOVED
            self._census[entry.version].removed += 1 if is_removed else -1

    def discard(self, order_hash: OrderHash) -> None:
        """Stop watching an order that is no longer stored; unknown hashes are fine."""
        entry = self._entries.get(order_hash)
        if entry is None or not entry.flags & _STORED:
            return
        census = self._census[entry.version]
        census.stored -= 1
        census.removed -= bool(entry.flags & _REMOVED)
        census.pinned -= bool(entry.flags & _PINNED)
        entry.flags &= ~(_STORED | _REMOVED | _PINNED)
        self._expiries.discard(entry.expiration, order_hash)
        if order_hash not in self._pending:
            self._forget(order_hash, entry)

    def add_pending(self, order_hash: OrderHash, order: SignedOrder) -> None:
        """Watch an order from before the chain is read until it is stored or refused.

        What touches it meanwhile is kept for ``drop_pending``, so that nothing is missed
        between the reading and the storing. Calls for one hash are counted.
        """
        self._entry(order_hash, order)
        pending = self._pending.get(order_hash)
        if pending is None:
            self._pending[order_hash] = _Pending()
        else:
            pending.holders += 1

    def drop_pending(self, order_hash: OrderHash) -> list[ContractEvent] | None:
        """Stop waiting for an order; return what touched it before it was stored.

        None: nothing did. Otherwise it must be looked at again if it has been stored;
        the list (what clients are shown) can be empty, as ``mark_pending_dirty`` and
        events they do not know leave it.
        """
        pending = self._pending.get(order_hash)
        if pending is None:
            return None
        pending.holders -= 1
        if not pending.holders:
            del self._pending[order_hash]
            entry = self._entries[order_hash]
            if not entry.flags & _STORED:
                self._forget(order_hash, entry)
        return pending.touched_by

    @property
    def is_pending_touched(self) -> bool:
        """Whether something has touched an order that is still pending."""
        return any(pending.touched_by is not None for pending in self._pending.values())

    def mark_pending_dirty(self) -> None:
        """Have every pending order looked at again: blocks were passed over unseen."""
        for pending in self._pending.values():
            if pending.touched_by is None:
                pending.touched_by = []

    def _entry(self, order_hash: OrderHash, order: SignedOrder) -> _Entry:
        entry = self._entries.get(order_hash)
        if entry is not None:
            return entry
        keys, tokens = self._keys.of(order)
        groups = tuple([self._join(key, order_hash) for key in keys])
        contracts = tuple([self._contract(*token) for token in tokens])
        # The sender is nearly always null: one object for all of them.
        is_open = order.sender_address == NULL_ADDRESS
        entry = self._entries[order_hash] = _Entry(
            version=order.version,
            salt=order.salt,
            expiration=order.expiration_time_seconds,
            sender=NULL_ADDRESS if is_open else order.sender_address,
            flags=(_CONTRACT_SIGNED if signatures.needs_chain(order) else 0)
            | (_EXOTIC if self._keys.is_exotic(order) else 0),
            groups=groups,
            contracts=contracts,
        )
        return entry

    def _contract(self, address: bytes, role: ContractRole) -> _Contract:
        contract = self._contracts.get((address, role))
        if contract is None:
            contract = self._contracts[address, role] = _Contract(address, role)
            self._roles[address] = self.role(address) | role
        contract.orders += 1
        return contract

    def _join(self, key: bytes, order_hash: OrderHash) -> OrderGroup:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = OrderGroup(key, order_hash)
        else:
            group.add(order_hash)
        return group

    def _forget(self, order_hash: OrderHash, entry: _Entry) -> None:
        del self._entries[order_hash]
        for group in entry.groups:
            if group.discard(order_hash):
                del self._groups[group.key]
        for contract in entry.contracts:
            contract.orders -= 1
            if not contract.orders:
                self._drop(contract)

    def _drop(self, contract: _Contract) -> None:
        del self._contracts[contract.address, contract.role]
        left = self._roles[contract.address] & ~contract.role
        if left:
            self._roles[contract.address] = left
        else:
            del self._roles[contract.address]

    # -- questions ---------------------------------------------------------------

    def affected(self, events: Iterable[ContractEvent]) -> dict[OrderHash, list[ContractEvent]]:
        """Return the stored orders that *events* touch, each with the events to show for it.

        The list of an order is empty when only an event clients do not know touched it.
        What touches a pending order that is not stored yet is kept for ``drop_pending``.
        """
        touched: dict[OrderHash, list[ContractEvent]] = {}
        for event in events:
            for order_hash in sorted(self._touched(event)):
                if self._entries[order_hash].flags & _STORED:
                    shown = touched.setdefault(order_hash, [])
                else:
                    pending = self._pending[order_hash]
                    if pending.touched_by is None:
                        pending.touched_by = []
                    shown = pending.touched_by
                if event.kind.is_listed:
                    shown.append(event)
        return touched

    def _touched(self, event: ContractEvent) -> set[OrderHash]:
        values = event.values
        token = event.log.address
        match event.kind:
            case EventKind.ERC20_TRANSFER:
                # A contract known as both kinds may be an ERC721 that indexes no ID.
                return self._of(token, values[:2])
            case EventKind.WETH_DEPOSIT | EventKind.WETH_WITHDRAWAL:
                return self._of(token, values[:1])
            case EventKind.ERC20_APPROVAL:
                if self.role(token) & ContractRole.ERC721:
                    return self._of(token, values[:1])
                return self._of_versions(token, values, self._erc20_spenders)
            case EventKind.ERC721_TRANSFER:
                return self._of_token_id(token, values[:2], values[2])
            case EventKind.ERC721_APPROVAL:
                return self._of_token_id(token, values[:1], values[2])
            case EventKind.ERC721_APPROVAL_FOR_ALL | EventKind.ERC1155_APPROVAL_FOR_ALL:
                # One event for both kinds, and a contract may be known as both.
                found: set[OrderHash] = set()
                if self.role(token) & ContractRole.ERC721:
                    found |= self._of_versions(token, values, self._erc721_operators)
                if self.role(token) & ContractRole.ERC1155:
                    found |= self._of_versions(token, values, self._erc1155_operators)
                return found
            case EventKind.ERC1155_TRANSFER_SINGLE | EventKind.ERC1155_TRANSFER_BATCH:
                return self._of(token, values[1:3])
            case EventKind.EXCHANGE_FILL:
                return self._of_hash(values[8 if event.version is ProtocolVersion.V2 else 9])
            case EventKind.EXCHANGE_CANCEL:
                return self._of_hash(values[3])
            case EventKind.EXCHANGE_CANCEL_UP_TO:
                return self._of_epoch(event)
            case EventKind.SIGNATURE_VALIDATOR_APPROVAL:
                return self._of_signer(event)

    def _of(self, token: bytes, owners: Sequence[object]) -> set[OrderHash]:
        found: set[OrderHash] = set()
        for owner in owners:
            if isinstance(owner, bytes) and (group := self._groups.get(token + owner)):
                found.update(group)
        return found

    def _of_token_id(
        self, token: bytes, owners: Sequence[object], token_id: object
    ) -> set[OrderHash]:
        found: set[OrderHash] = set()
        if isinstance(token_id, int):
            for owner in owners:
                if isinstance(owner, bytes) and (
                    group := self._groups.get(token_key(token, owner, token_id))
                ):
                    found.update(group)
        return found

    def _of_versions(
        self,
        token: bytes,
        values: Sequence[object],
        versions_of: dict[bytes, frozenset[ProtocolVersion]],
    ) -> set[OrderHash]:
        """Orders of the owner (first value) whose version is served by the second value."""
        owner, operator = values[:2]
        versions = versions_of.get(operator) if isinstance(operator, bytes) else None
        if versions is None:
            return set()
        return {
            order_hash
            for order_hash in self._of(token, (owner,))
            if self._entries[order_hash].version in versions
        }

    def _of_hash(self, order_hash: object) -> set[OrderHash]:
        if isinstance(order_hash, bytes) and order_hash in self._entries:
            return {OrderHash(order_hash)}
        return set()

    def _of_epoch(self, event: ContractEvent) -> set[OrderHash]:
        maker, sender, epoch = event.values
        if not isinstance(epoch, int):
            return set()
        return {
            order_hash
            for order_hash in self._of(b"", (maker,))
            if (entry := self._entries[order_hash]).version is event.version
            and entry.sender == sender
            and entry.salt <= epoch
        }

    def _of_signer(self, event: ContractEvent) -> set[OrderHash]:
        return {
            order_hash
            for order_hash in self._of(b"", event.values[:1])
            if (entry := self._entries[order_hash]).version is event.version
            and entry.flags & _CONTRACT_SIGNED
        }

    # -- time ----------------------------------------------------------------------

    def expired(self, block_timestamp: int) -> list[OrderHash]:
        """Return the orders on offer whose expiration *block_timestamp* has reached.

        Earliest expiration first. What was returned is returned again only when time has
        gone back in between. Unix seconds.
        """
        return [
            order_hash
            for order_hash in self._expiries.pass_until(block_timestamp)
            if not self._entries[order_hash].flags & _REMOVED
        ]

    def revived(self, block_timestamp: int) -> list[OrderHash]:
        """Return the removed orders whose expiration is ahead again.

        To be asked when the newest block is earlier than the one before it (a
        reorganisation). Earliest expiration first. Those stored with an amount could come
        back by time alone; those with none were looked at after they had expired, and
        only another look tells.
        """
        return [
            order_hash
            for order_hash in self._expiries.return_to(block_timestamp)
            if self._entries[order_hash].flags & _REMOVED
        ]


class _Pending(msgspec.Struct, gc=False):
    """An order between the moment it is read and the moment it is stored."""

    holders: int = 1
    touched_by: list[ContractEvent] | None = None
    """None: by nothing yet."""


def _versions_by_proxy(
    deployments: dict[ProtocolVersion, Deployment], *names: str
) -> dict[bytes, frozenset[ProtocolVersion]]:
    """Return the versions each proxy serves; on mainnet v2 and v3 share theirs."""
    versions: dict[bytes, frozenset[ProtocolVersion]] = {}
    for version, deployment in deployments.items():
        for name in names:
            proxy: bytes | None = getattr(deployment, name)
            if proxy is not None:
                versions[proxy] = versions.get(proxy, frozenset()) | {version}
    return versions
