"""Fetches images from hosts that the operator allows, and from nowhere else.

Covered: the name is resolved once and the connection goes to that very address, which must be a
public one, so that neither a name that points inside nor one that changes between check and use
reaches the operator's network; redirects are not followed; size and time are limited.
Not covered: what an allowed host sends; it is checked like any other image.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from functools import cached_property

import httpx2

from .errors import RequestError


Resolve = Callable[[str, int], Awaitable[list[str]]]

# Of IPv6, all that is given out to anybody.
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
# Ranges that carry an IPv4 address inside, private ones too, lead to the nearest relay, or are for
# documents, drafts and tests.
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24"),
    )
)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host; raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def is_public(address: str) -> bool:
    """Return whether an IP address is one that anybody may reach."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if any(ip in network for network in _NOT_PUBLIC if network.version == ip.version):
        return False
    if ip.version == 6 and (ip not in _GIVEN_OUT or _carries_ipv4(ip)):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _carries_ipv4(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether the last half of an address is an IPv4 address in disguise (ISATAP)."""
    return ip.packed[8:12] in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


class ImageFetcher:
    """Fetches images over HTTPS.

    Args:
        hosts: Who may be asked, as ``name`` or ``name:port``; none: nobody.
        timeout_s: Time limit of one image in seconds.
        resolve: Looks names up.
        transport: Carries the requests instead of the network, for tests.
    """

    def __init__(
        self,
        hosts: tuple[str, ...],
        timeout_s: float = 10.0,
        resolve: Resolve = resolve,
        transport: httpx2.AsyncBaseTransport | None = None,
    ):
        """Prepare; nothing is fetched yet."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._transport = transport

    async def fetch(self, url: str, at: str, max_bytes: int) -> bytes:
        """Return what an URL holds.

        Args:
            url: As the client gave it.
            at: Where it stands in the request, for the message.
            max_bytes: The most to read.

        Raises:
            RequestError: The host is not allowed, its address is private, it does not answer
                with status 200, or there is too much of it.
        """
        target = self._allowed(url, at)
        port = target.port or 443
        addresses = None
        try:
            async with asyncio.timeout(self._timeout_s):
                addresses = await self._resolve(target.host, port)
                if addresses and all(map(is_public, addresses)):
                    data = await self._read(target, addresses[0], max_bytes)
                    if data is not None:
                        return data
                else:
                    addresses = []
        except (OSError, TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
            pass
        if addresses == []:
            raise _refused("this host has no public address", at)
        raise _refused(f"it could not be fetched, or has more than {max_bytes} bytes", at)

    async def close(self) -> None:
        """Close the connections, if there are any."""
        if "_client" in vars(self):
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        # Made when it is needed: it reads all the certificates of the machine.
        return httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=self._timeout_s,
            transport=self._transport,
        )

    def _allowed(self, url: str, at: str) -> httpx2.URL:
        if not self._hosts:
            raise _refused("only data URIs are taken", at)
        try:
            target = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError):
            target = None
        if target is None or target.scheme != "https" or target.userinfo:
            raise _refused("only data URIs and https URLs without a user name are taken", at)
        named = target.host if target.port is None else f"{target.host}:{target.port}"
        if named.lower() not in self._hosts:
            raise _refused("images are not fetched from this host", at)
        return target

    async def _read(self, target: httpx2.URL, address: str, max_bytes: int) -> bytes | None:
        pinned = target.copy_with(host=address)
        headers = {"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        request = self._client.build_request("GET", pinned, headers=headers)
        # The certificate must still be that of the name.
        request.extensions["sni_hostname"] = target.host
        response = await self._client.send(request, stream=True)
        try:
            # Unasked compression could unfold into any amount of memory.
            if response.status_code != 200 or "content-encoding" in response.headers:
                return None
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > max_bytes:
                    return None
            return bytes(data)
        finally:
            await response.aclose()


def _refused(why: str, at: str) -> RequestError:
    return RequestError("invalid_image", f"{at}: {why}; send the image as a data URI", at)
