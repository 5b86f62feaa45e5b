"""A home router that maps ports by UPnP, on this machine's own interface.

async with open_router("127.0.0.21") as router:
    ...                   # a node at that address with enable_upnp finds it
    router.mappings       # {(60558, "TCP"): Mapping(...)}
    router.fault = 725    # the next answers are this UPnP error

It answers the search by multicast (SSDP), describes itself, and takes the calls of one
service, WANIPConnection:1. Source: UPnP Device Architecture 1.0, InternetGatewayDevice:1.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import cast

import msgspec
from aiohttp import web

GROUP, PORT = "239.255.255.250", 1900
"""Source: UPnP Device Architecture 1.0, section 1."""

DEVICE = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"

CONFLICT = 718
"""UPnP error: the port is mapped to somebody else."""

ONLY_PERMANENT = 725
"""UPnP error: mappings have no end here."""

_DESCRIPTION = f"""<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor>
</specVersion><device><deviceType>{DEVICE}</deviceType><friendlyName>Router</friendlyName>
<manufacturer>Fondaco</manufacturer><modelName>Router</modelName><UDN>uuid:router</UDN>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<UDN>uuid:wan</UDN><deviceList><device>
<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><UDN>uuid:connection</UDN>
<serviceList><service><serviceType>{SERVICE}</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/scpd.xml</SCPDURL>
<controlURL>/control</controlURL><eventSubURL>/event</eventSubURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>"""


class Mapping(msgspec.Struct, frozen=True):
    """What a port of the router leads to."""

    host: str
    port: int
    lease: int
    """Seconds; 0 is for ever."""


class FakeRouter:
    """Made by ``open_router``."""

    def __init__(self, external_ip: str) -> None:
        self.external_ip = external_ip
        self.mappings: dict[tuple[int, str], Mapping] = {}
        self.calls: Counter[str] = Counter()
        """Name of each call of the service -> how often."""
        self.fault: int | None = None
        """The UPnP error that AddPortMapping answers with; None works."""
        self.taken: set[int] = set()
        """Ports that are mapped to somebody else."""

    async def describe(self, request: web.Request) -> web.Response:
        """Answer for the description."""
        return web.Response(text=_DESCRIPTION, content_type="text/xml")

    async def control(self, request: web.Request) -> web.Response:
        """Answer a call of the service."""
        name = request.headers.get("SOAPAction", "").strip('"').rpartition("#")[2]
        body = await request.text()
        self.calls[name] += 1
        actions: dict[str, Callable[[str], dict[str, str] | int]] = {
            "GetStatusInfo": self._status,
            "GetExternalIPAddress": lambda _: {"NewExternalIPAddress": self.external_ip},
            "AddPortMapping": self._add,
            "DeletePortMapping": self._delete,
        }
        answer = actions[name](body) if name in actions else 401
        if isinstance(answer, int):
            return web.Response(text=_fault(answer), status=500, content_type="text/xml")
        values = "".join(f"<{key}>{value}</{key}>" for key, value in answer.items())
        text = f'<u:{name}Response xmlns:u="{SERVICE}">{values}</u:{name}Response>'
        return web.Response(text=_envelope(text), content_type="text/xml")

    def _status(self, body: str) -> dict[str, str]:
        return {
            "NewConnectionStatus": "Connected",
            "NewLastConnectionError": "ERROR_NONE",
            "NewUptime": "1",
        }

    def _add(self, body: str) -> dict[str, str] | int:
        port, lease = int(_value(body, "ExternalPort")), int(_value(body, "LeaseDuration"))
        if port in self.taken:
            return CONFLICT
        if self.fault is not None and not (self.fault == ONLY_PERMANENT and lease == 0):
            return self.fault
        self.mappings[port, _value(body, "Protocol")] = Mapping(
            _value(body, "InternalClient"), int(_value(body, "InternalPort")), lease
        )
        return {}

    def _delete(self, body: str) -> dict[str, str] | int:
        place = int(_value(body, "ExternalPort")), _value(body, "Protocol")
        return {} if self.mappings.pop(place, None) is not None else 714


class _Search(asyncio.DatagramProtocol):
    """Answers who searches for a router."""

    def __init__(self, ip: str, location: str) -> None:
        self._ip = ip
        self._location = location
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # It is one, though asyncio's own class does not say so.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        is_search = data.startswith(b"M-SEARCH") and DEVICE.encode() in data
        if self._transport is not None and is_search and addr[0] == self._ip:
            answer = (
                f"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: {DEVICE}\r\n"
                f"USN: uuid:router::{DEVICE}\r\nEXT:\r\nSERVER: test UPnP/1.0\r\n"
                f"LOCATION: {self._location}\r\n\r\n"
            )
            self._transport.sendto(answer.encode(), addr)


@contextlib.asynccontextmanager
async def open_router(ip: str, *, external_ip: str = "8.8.4.4") -> AsyncIterator[FakeRouter]:
    """Open a router for who is at *ip*, which it has itself, and for nobody else.

    All of 127.0.0.0/8 is one interface: with an address of its own a test is alone.
    """
    router = FakeRouter(external_ip)
    app = web.Application()
    app.router.add_get("/router.xml", router.describe)
    app.router.add_post("/control", router.control)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, ip, 0)
        await site.start()
        port = runner.addresses[0][1]
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Search(ip, f"http://{ip}:{port}/router.xml"), sock=_ears(ip)
        )
        try:
            yield router
        finally:
            transport.close()
    finally:
        await runner.cleanup()


def _ears(ip: str) -> socket.socket:
    """Return a socket that hears the group on the interface at *ip*."""
    ears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ears.setblocking(False)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        ears.setsockopt(socket.SOL_SOCKET, option, 1)
    place = socket.inet_aton(GROUP) + socket.inet_aton(ip)
    ears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, place)
    ears.bind(("", PORT))
    return ears


def _value(body: str, name: str) -> str:
    found = re.search(f"<New{name}[^>]*>([^<]*)</New{name}>", body)
    return found[1] if found else ""


def _envelope(text: str) -> str:
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
        f"<s:Body>{text}</s:Body></s:Envelope>"
    )


def _fault(code: int) -> str:
    return _envelope(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        f'<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{code}</errorCode>'
        "<errorDescription>refused</errorDescription></UPnPError></detail></s:Fault>"
    )
