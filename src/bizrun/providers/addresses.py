"""Where a call may go: an address is read, resolved once, and every place it names is judged.

The connection is then made to a place that was judged, never to a name: a name that answers
differently a moment later (DNS rebinding) leads nowhere else.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from ..errors import BizError

MAX_URL = 8_000

Resolver = Callable[[str, int], Sequence[str]]
Ip = IPv4Address | IPv6Address

# Never, not even where the environment names them: cloud metadata services (RFC 3927, and the
# addresses that AWS, Alibaba, Oracle and Azure give to theirs).
METADATA = tuple(
    ip_network(text)
    for text in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32",
                 "192.0.0.192/32", "168.63.129.16/32")
)  # fmt: skip
# An IPv4 address inside of an IPv6 one: RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4291 (compatible).
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


class Refused(BizError):
    """A call is not made at all: its address is wrong, or leads where calls may not go."""


class Unresolved(BizError):
    """The name of a host has no address now; another try may find one."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was read and judged; `places` are the IP addresses to connect to."""

    scheme: str
    host: str
    port: int
    path: str
    places: tuple[str, ...]

    @property
    def origin(self) -> str:
        """The address without its path: what a message may show."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a host as the system knows them, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def locate(url: str, private: bool, resolve: Resolver = system_resolver) -> Target:
    """Reads, resolves and judges an address of HTTP; Refused or Unresolved where that fails.

    `private` allows loopback and private networks: for addresses that the environment or the spec
    names on purpose.
    """
    parts = split_url(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = (parts.hostname or "").rstrip(".")
    path = parts.path or "/"
    if parts.query:
        path = f"{path}?{parts.query}"
    return Target(parts.scheme, host, port, path, places(host, port, private, resolve))


def split_url(url: str) -> SplitResult:
    """The parts of an http or https address; Refused where it is none, or carries a password."""
    if not isinstance(url, str) or not url.isascii() or len(url) > MAX_URL or _UNSAFE.search(url):
        raise Refused("the address holds characters that no address has, or is too long")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("the address can't be read") from None
    if parts.scheme not in ("http", "https"):
        raise Refused(f"an address begins with https://, not `{parts.scheme or 'nothing'}`")
    if parts.username is not None or parts.password is not None:
        raise Refused("an address carries no user or password: use `auth`")
    if not parts.hostname or port == 0:
        raise Refused("the address names no host")
    return parts


def places(
    host: str, port: int, private: bool, resolve: Resolver = system_resolver
) -> tuple[str, ...]:
    """Where a host is; Refused where one of its addresses is not allowed, even if others are."""
    try:
        found = tuple(resolve(host, port))
    except UnicodeError:
        raise Refused(f"`{host[:80]}` is no name that a host can have") from None
    except OSError:
        raise Unresolved(f"there is no host {host}") from None
    if not found:
        raise Unresolved(f"there is no host {host}")
    for text in found:
        why = objection(ip_address(text.partition("%")[0]), private)
        if why is not None:
            raise Refused(f"{host} is {why}, and calls don't go there")
    return found


def objection(ip: Ip, private: bool) -> str | None:
    """Why an address may not be called; None where it may."""
    inner = _inside(ip)
    if inner is not None:
        return objection(inner, private)
    if any(ip.version == net.version and ip in net for net in METADATA):
        return "a link-local or metadata address"
    if ip.is_multicast or ip.is_unspecified or (ip.is_reserved and not ip.is_loopback):
        return "an address of no single host"
    if private:
        return None
    if ip.is_loopback:
        return "this machine"
    return None if ip.is_global else "in a private network"


def _inside(ip: Ip) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if isinstance(ip, IPv4Address):
        return None
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    number = int(ip) & 0xFFFFFFFF
    if ip in _NAT64 or (ip in _COMPATIBLE and number > 1):
        return IPv4Address(number)
    return None
