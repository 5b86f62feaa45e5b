from __future__ import annotations

import asyncio
import socket

import aiohttp

from fondaco.testing.router import GROUP, PORT, SERVICE, Mapping, open_router

CALL = """<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">
<s:Body><u:{name} xmlns:u="{service}">{values}</u:{name}></s:Body></s:Envelope>"""


async def search() -> str:
    """Return where a router describes itself."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            answers.put_nowait(data)

    mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mouth.setblocking(False)
    mouth.bind(("127.0.0.31", 0))
    mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Ear, sock=mouth)
    device = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
    question = f'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: {device}\r\n\r\n'
    transport.sendto(question.encode(), (GROUP, PORT))
    try:
        async with asyncio.timeout(20):
            answer = (await answers.get()).decode()
    finally:
        transport.close()
    [location] = [line for line in answer.splitlines() if line.startswith("LOCATION:")]
    return location.removeprefix("LOCATION: ")


async def call(place: str, name: str, **values: object) -> tuple[int, str]:
    body = "".join(f"<New{key}>{value}</New{key}>" for key, value in values.items())
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            place.replace("router.xml", "control"),
            data=CALL.format(name=name, service=SERVICE, values=body),
            headers={"SOAPAction": f'"{SERVICE}#{name}"'},
        ) as answer,
    ):
        return answer.status, await answer.text()


async def test_it_maps_and_forgets_and_refuses() -> None:
    async with open_router("127.0.0.31", external_ip="9.9.9.9") as router:
        place = await search()
        async with aiohttp.ClientSession() as session, session.get(place) as answer:
            assert SERVICE in await answer.text()
        _, text = await call(place, "GetExternalIPAddress")
        assert "<NewExternalIPAddress>9.9.9.9<" in text
        mapping = {
            "ExternalPort": 7,
            "Protocol": "TCP",
            "InternalPort": 8,
            "InternalClient": "192.168.1.2",
            "LeaseDuration": 60,
        }
        assert (await call(place, "AddPortMapping", **mapping))[0] == 200
        assert router.mappings == {(7, "TCP"): Mapping("192.168.1.2", 8, 60)}
        assert (await call(place, "DeletePortMapping", **mapping))[0] == 200
        assert router.mappings == {}
        for name, code in (("DeletePortMapping", 714), ("Dance", 401)):
            status, text = await call(place, name, **mapping)
            assert (status, f"<errorCode>{code}<" in text) == (500, True)
        router.fault = 725
        assert (await call(place, "AddPortMapping", **mapping))[0] == 500
        assert (await call(place, "AddPortMapping", **mapping | {"LeaseDuration": 0}))[0] == 200
        router.taken = {7}
        assert "<errorCode>718<" in (await call(place, "AddPortMapping", **mapping))[1]
