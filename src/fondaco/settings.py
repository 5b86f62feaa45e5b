"""The settings of a node: one row each, read by whatever must know them.

    this table --> config.load()                 values, errors
               --> fondaco run --help            flags
               --> docs/configuration.md         compared with the table by a test

Add a row here and the field of the same name to ``config.Config``; a test sees to it
that the two agree.
"""

from __future__ import annotations

import dataclasses

from fondaco import spellings
from fondaco.spellings import Kind

REQUIRED = None
"""Default of a setting that has none: the node does not start without a value."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing an operator may set."""

    name: str
    """Field of ``Config`` and key in fondaco.toml; spells the flag and FONDACO_ name."""

    section: str
    """Heading in docs/configuration.md."""

    kind: Kind
    default: str | None
    """As it would be written, or REQUIRED."""

    mesh_names: tuple[str, ...] = ()
    """Further environment names: those of 0x Mesh v6 and v9, and plain ones of ours."""

    unit: str = ""
    help: str
    """One sentence for ``--help`` and the page; plain text."""

    is_secret: bool = False
    """Its value is never shown, and there is no flag: others can read a command line."""

    unused: str = ""
    """Why a value is accepted but has no effect yet; empty for a setting in use."""

    @property
    def environment(self) -> tuple[str, ...]:
        """Environment names, the usual one first."""
        return (*self.mesh_names, f"FONDACO_{self.name.upper()}")

    @property
    def flag(self) -> str:
        """Command-line spelling, ``""`` for a secret."""
        return "" if self.is_secret else "--" + self.name.replace("_", "-")

    @property
    def is_boolean(self) -> bool:
        """Whether the flag comes as a pair ``--x`` and ``--no-x``."""
        return self.kind is spellings.BOOLEAN


_NO_WEBSOCKETS = "peers are reached by TCP only"

SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="ethereum_rpc_url",
        section="Ethereum",
        kind=spellings.ENDPOINT,
        default=REQUIRED,
        mesh_names=("ETHEREUM_RPC_URL",),
        help="JSON-RPC endpoint of the chain; with ws:// or wss:// new blocks are pushed "
        "instead of polled. Only scheme, host and port ever appear in the log.",
    ),
    Setting(
        name="ethereum_chain_id",
        section="Ethereum",
        kind=spellings.whole(1, 2**53 - 1),
        default=REQUIRED,
        mesh_names=("ETHEREUM_CHAIN_ID",),
        help="Chain the orders are for; the endpoint must be on it. A data directory "
        "belongs to one chain for good.",
    ),
    Setting(
        name="custom_contract_addresses",
        section="Ethereum",
        kind=spellings.OPTIONAL_JSON_OBJECT,
        default="",
        mesh_names=("CUSTOM_CONTRACT_ADDRESSES",),
        help="JSON object of 0x contract addresses, for a chain without built-in ones: exchange, "
        "devUtils, erc20Proxy, erc721Proxy, erc1155Proxy, optional coordinator, "
        "coordinatorRegistry, weth9, zrxToken, chaiBridge, chaiToken, maximumGasPrice; "
        "exchangeV2, devUtilsV2, erc20ProxyV2, erc721ProxyV2, erc1155ProxyV2 beside them "
        "where both protocol versions live on one chain; tokens for names.",
    ),
    Setting(
        name="block_polling_interval",
        section="Ethereum",
        kind=spellings.duration("10ms", "1h"),
        default="5s",
        mesh_names=("BLOCK_POLLING_INTERVAL",),
        help="How long to wait between two looks for a new block.",
    ),
    Setting(
        name="enable_ethereum_rpc_rate_limiting",
        section="Ethereum",
        kind=spellings.BOOLEAN,
        default="true",
        mesh_names=("ENABLE_ETHEREUM_RPC_RATE_LIMITING",),
        help="Whether the two limits below apply; turn it off for an endpoint of your own.",
    ),
    Setting(
        name="ethereum_rpc_max_requests_per_24_hr_utc",
        section="Ethereum",
        kind=spellings.whole(1, 10**12),
        default="200000",
        mesh_names=("ETHEREUM_RPC_MAX_REQUESTS_PER_24_HR_UTC",),
        unit="requests per UTC day",
        help="Requests to the endpoint in one UTC day; it must leave 50000 beside those "
        "that polling alone takes.",
    ),
    Setting(
        name="ethereum_rpc_max_requests_per_second",
        section="Ethereum",
        kind=spellings.positive_number(1_000_000),
        default="30",
        mesh_names=("ETHEREUM_RPC_MAX_REQUESTS_PER_SECOND",),
        unit="requests per second",
        help="Requests to the endpoint in one second; half as many may come at once.",
    ),
    Setting(
        name="ethereum_rpc_max_content_length",
        section="Ethereum",
        kind=spellings.whole(1, 2**31),
        default="524288",
        mesh_names=("ETHEREUM_RPC_MAX_CONTENT_LENGTH",),
        unit="bytes",
        help="Largest request the endpoint takes; at least the largest order (16000, or "
        "8192 with order protocol v2 alone).",
    ),
    Setting(
        name="order_protocols",
        section="Orders",
        kind=spellings.PROTOCOLS,
        default="v2,v3",
        mesh_names=("ORDER_PROTOCOLS",),
        help="Versions of the 0x protocol to serve; one that the chain has no contracts "
        "for is left out. With v2 alone the plain contract address keys are v2's.",
    ),
    Setting(
        name="custom_order_filter",
        section="Orders",
        kind=spellings.JSON_OBJECT,
        default="{}",
        mesh_names=("CUSTOM_ORDER_FILTER",),
        help="JSON Schema that an order must satisfy besides the built-in one.",
    ),
    Setting(
        name="accept_partially_funded",
        section="Orders",
        kind=spellings.BOOLEAN,
        default="false",
        mesh_names=("ACCEPT_PARTIALLY_FUNDED",),
        help="Keep an order that its maker can deliver only in part, with its true "
        "fillable amount; 0x Mesh refused it as OrderUnfunded.",
    ),
    Setting(
        name="max_orders_in_storage",
        section="Orders",
        kind=spellings.whole(1, 100_000_000),
        default="100000",
        mesh_names=("MAX_ORDERS_IN_STORAGE",),
        unit="orders",
        help="Above it, unpinned orders that expire last make room.",
    ),
    Setting(
        name="data_dir",
        section="Storage",
        kind=spellings.PATH,
        default="fondaco_data",
        mesh_names=("DATA_DIR",),
        help="Directory of the database and of keys/; created where it is missing.",
    ),
    Setting(
        name="event_log_retention",
        section="Storage",
        kind=spellings.duration("1m", "36500d"),
        default="7d",
        mesh_names=("EVENT_LOG_RETENTION",),
        help="How long order events stay readable for mesh_subscribe with since and for "
        "mesh_explain.",
    ),
    Setting(
        name="event_log_max_rows",
        section="Storage",
        kind=spellings.whole(1000, 10**12),
        default="5000000",
        mesh_names=("EVENT_LOG_MAX_ROWS",),
        unit="events",
        help="Above it the oldest order events go before their time.",
    ),
    Setting(
        name="rpc_addr",
        section="Doors",
        kind=spellings.LISTEN_ADDRESS,
        default="127.0.0.1:60557",
        mesh_names=("WS_RPC_ADDR", "RPC_ADDR"),
        help="Where JSON-RPC is served, by WebSocket and by POST; port 0 takes a free "
        "one. Anything but loopback needs rpc_token.",
    ),
    Setting(
        name="http_rpc_addr",
        section="Doors",
        kind=spellings.optional(spellings.LISTEN_ADDRESS),
        default="",
        mesh_names=("HTTP_RPC_ADDR",),
        help="A second address with the same services; unset, or equal to rpc_addr, there is none.",
    ),
    Setting(
        name="rpc_token",
        section="Doors",
        kind=spellings.optional(spellings.TOKEN),
        default="",
        is_secret=True,
        mesh_names=("RPC_TOKEN",),
        help="Bearer token that a client must send (Authorization: Bearer TOKEN); "
        "needed where a listener is not on loopback.",
    ),
    Setting(
        name="allowed_origins",
        section="Doors",
        kind=spellings.WORDS,
        default="",
        mesh_names=("ALLOWED_ORIGINS",),
        help="Origins, such as https://app.example.org, whose pages may use the API from "
        "a browser. Programs other than browsers send no Origin.",
    ),
    Setting(
        name="allowed_hosts",
        section="Doors",
        kind=spellings.WORDS,
        default="",
        mesh_names=("ALLOWED_HOSTS",),
        help="Names, besides IP addresses and localhost, that a request may carry in its "
        "Host header.",
    ),
    Setting(
        name="seed_path",
        section="Identity",
        kind=spellings.optional(spellings.PATH),
        default="",
        help="File with the BIP39 words that all keys of the node come from; unset, "
        "keys/seed in the data directory, written at the first start.",
    ),
    Setting(
        name="private_key_path",
        section="Identity",
        kind=spellings.optional(spellings.PATH),
        default="",
        help="File with an identity key in 0x Mesh's form, or with bip32_seed=DIGITS or "
        "secret=HEX from an OpenBazaar node's settings, instead of the key from the seed; "
        "unset, keys/privkey in the data directory where that file exists.",
    ),
    Setting(
        name="verbosity",
        section="Log",
        kind=spellings.VERBOSITY,
        default="4",
        mesh_names=("VERBOSITY",),
        help="0 panic, 1 fatal, 2 error, 3 warn, 4 info, 5 debug, 6 trace (0x Mesh's "
        "default is 2).",
    ),
    Setting(
        name="log_json",
        section="Log",
        kind=spellings.BOOLEAN,
        default="false",
        help="Write JSON lines also when standard error is a terminal.",
    ),
    Setting(
        name="p2p_tcp_port",
        section="Peer-to-peer",
        kind=spellings.whole(0, 65_535),
        default="60558",
        mesh_names=("P2P_TCP_PORT",),
        help="TCP port for peers; 0 takes a free one.",
    ),
    Setting(
        name="p2p_listen_addr",
        section="Peer-to-peer",
        kind=spellings.IP_ADDRESS,
        default="0.0.0.0",
        mesh_names=("P2P_LISTEN_ADDR",),
        help="IP address to listen on for peers; 0.0.0.0 is every IPv4 interface, because "
        "peers come from outside.",
    ),
    Setting(
        name="p2p_deny",
        section="Peer-to-peer",
        kind=spellings.NETWORKS,
        default="",
        mesh_names=("P2P_DENY",),
        help="IP addresses and networks that are neither dialled nor let in.",
    ),
    Setting(
        name="p2p_relays",
        section="Peer-to-peer",
        kind=spellings.WORDS,
        default="",
        mesh_names=("P2P_RELAYS",),
        help="Multiaddresses of up to four nodes with serve_relay "
        "(/ip4/192.0.2.1/tcp/60558/p2p/16Uiu2HA…), through which peers can reach this node "
        "where no router lets them in. They carry what they cannot read.",
    ),
    Setting(
        name="serve_relay",
        section="Peer-to-peer",
        kind=spellings.BOOLEAN,
        default="false",
        mesh_names=("SERVE_RELAY",),
        help="Whether to be such a relay for others, within the table of budgets; needs an "
        "address that everybody can dial.",
    ),
    Setting(
        name="enable_mdns",
        section="Peer-to-peer",
        kind=spellings.BOOLEAN,
        default="false",
        mesh_names=("ENABLE_MDNS",),
        help="Whether to look for peers on the local network by multicast, which tells "
        "everybody on it that this node is there.",
    ),
    Setting(
        name="enable_upnp",
        section="Peer-to-peer",
        kind=spellings.BOOLEAN,
        default="false",
        mesh_names=("ENABLE_UPNP",),
        help="Whether to ask the router by UPnP to let peers in at p2p_tcp_port, for an hour "
        "at a time.",
    ),
    Setting(
        name="enable_p2p",
        section="Peer-to-peer",
        kind=spellings.BOOLEAN,
        default="true",
        mesh_names=("ENABLE_P2P",),
        help="Whether to talk to peers at all; needs the extra fondaco[p2p].",
    ),
    Setting(
        name="enable_gossip",
        section="Peer-to-peer",
        kind=spellings.BOOLEAN,
        default="true",
        mesh_names=("ENABLE_GOSSIP",),
        help="Whether new orders are sent to peers, and taken from them, at once. Without it "
        "they still spread by order sync, within a minute.",
    ),
    Setting(
        name="enable_order_sync",
        section="Peer-to-peer",
        kind=spellings.BOOLEAN,
        default="true",
        mesh_names=("ENABLE_ORDER_SYNC",),
        help="Whether the book is compared with those of peers. Without it an order that "
        "gossip has lost stays lost; meant for measuring.",
    ),
    Setting(
        name="p2p_websockets_port",
        section="Peer-to-peer",
        kind=spellings.whole(0, 65_535),
        default="60559",
        mesh_names=("P2P_WEBSOCKETS_PORT",),
        help="WebSocket port for peers; 0 takes a free one.",
        unused=_NO_WEBSOCKETS,
    ),
    Setting(
        name="use_bootstrap_list",
        section="Peer-to-peer",
        kind=spellings.BOOLEAN,
        default="true",
        mesh_names=("USE_BOOTSTRAP_LIST",),
        help="Whether to stay connected to the nodes of bootstrap_list.",
    ),
    Setting(
        name="bootstrap_list",
        section="Peer-to-peer",
        kind=spellings.WORDS,
        default="",
        mesh_names=("BOOTSTRAP_LIST",),
        help="Multiaddresses of bootstrap nodes (/ip4/192.0.2.1/tcp/60558/p2p/16Uiu2HA…), "
        "dialled until they answer; none is built in.",
    ),
)

MESH_NAMES_WITHOUT_EFFECT: dict[str, str] = {
    "ADDITIONAL_PUBLIC_IP_SOURCES": "no outside service is asked for this node's address",
    "ETHEREUM_NETWORK_ID": "0x Mesh v5's name; set ETHEREUM_CHAIN_ID",
    "RPC_PORT": "0x Mesh v5's name; set RPC_ADDR",
    "ORDER_EXPIRATION_BUFFER": "0x Mesh v5 only; orders expire by the time of the newest block",
    "ENABLE_GRAPHQL_SERVER": "0x Mesh v10 and v11 only; the API is JSON-RPC",
    "GRAPHQL_SERVER_ADDR": "0x Mesh v10 and v11 only; the API is JSON-RPC at RPC_ADDR",
    "GRAPHQL_SLOW_SUBSCRIBER_TIMEOUT": "0x Mesh v10 and v11 only; a slow subscriber reads on "
    "from the event log",
    "ENABLE_GRAPHQL_PLAYGROUND": "0x Mesh v10 and v11 only",
    "ENABLE_PROMETHEUS_MONITORING": "0x Mesh v11 only; this release has no metrics",
    "PROMETHEUS_SERVER_ADDR": "0x Mesh v11 only; this release has no metrics",
    "MAX_BYTES_PER_SECOND": "what one peer may send is in the table of budgets",
}
"""Environment names of 0x Mesh that set nothing here, each with the reason. Where one is
set, the log says so at start."""

COMMAND_LINE_NAMES: dict[str, str] = {
    "FONDACO_CONFIG": "path of the TOML file, as --config",
    "FONDACO_ANVIL": "path of an anvil program for devnet and demo, instead of the pinned one",
    "FONDACO_NODE": "address that stats, orders and explain ask, as --node",
}
"""Environment names that the command line reads; no setting of the node."""

BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}
