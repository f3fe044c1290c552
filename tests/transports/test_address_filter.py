"""Address filters against IANA's registries of special-purpose addresses, and against every IPv6 form of IPv4."""

from __future__ import annotations

import ipaddress

import pytest

from httpx_fast import AddressFilter

#: Both registries, row by row: the block, and whether it is globally reachable (None: "N/A").
#: https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry (RFC 6890, RFC 8190).
IPV4 = {
    "0.0.0.0/8": False,
    "0.0.0.0/32": False,
    "10.0.0.0/8": False,
    "100.64.0.0/10": False,
    "127.0.0.0/8": False,
    "169.254.0.0/16": False,
    "172.16.0.0/12": False,
    "192.0.0.0/24": False,
    "192.0.0.0/29": False,
    "192.0.0.8/32": False,
    "192.0.0.9/32": True,
    "192.0.0.10/32": True,
    "192.0.0.170/32": False,
    "192.0.0.171/32": False,
    "192.0.2.0/24": False,
    "192.31.196.0/24": True,
    "192.52.193.0/24": True,
    "192.88.99.0/24": None,
    "192.88.99.2/32": False,
    "192.168.0.0/16": False,
    "192.175.48.0/24": True,
    "198.18.0.0/15": False,
    "198.51.100.0/24": False,
    "203.0.113.0/24": False,
    "240.0.0.0/4": False,
    "255.255.255.255/32": False,
}
IPV6 = {
    "::1/128": False,
    "::/128": False,
    "64:ff9b:1::/48": False,
    "100::/64": False,
    "100:0:0:1::/64": False,
    "2001::/23": False,
    "2001::/32": None,
    "2001:1::1/128": True,
    "2001:1::2/128": True,
    "2001:1::3/128": True,
    "2001:2::/48": False,
    "2001:3::/32": True,
    "2001:4:112::/48": True,
    "2001:10::/28": None,
    "2001:20::/28": True,
    "2001:30::/28": True,
    "2001:db8::/32": False,
    "2002::/16": None,
    "2620:4f:8000::/48": True,
    "3fff::/20": False,
    "5f00::/16": False,
    "fc00::/7": False,
    "fe80::/10": False,
}
#: The two rows left, whose addresses stand for IPv4 addresses and are judged as those.
TRANSLATED = ["::ffff:0:0/96", "64:ff9b::/96"]

#: Globally reachable rows inside blocks that are denied as a whole: services of the network itself, no web servers.
WITHIN = [ipaddress.ip_network(block) for block in ("192.0.0.0/24", "2001::/23")]

#: Multicast and former site-local addresses are in registries of their own.
OTHERS = ["224.0.0.0/4", "ff00::/8", "fec0::/10"]

LOCAL_NAT64 = "64:ff9b:1::"


def some(network):
    """The first, the last, and one between."""
    return network[0], network[network.num_addresses // 2], network[-1]


@pytest.mark.parametrize(("block", "reachable"), [*IPV4.items(), *IPV6.items(), *((each, False) for each in OTHERS)])
def test_rows_of_the_registries(block, reachable):
    network = ipaddress.ip_network(block)
    allowed = reachable is True and not any(
        network.version == whole.version and network.subnet_of(whole) for whole in WITHIN
    )
    for address in some(network):
        assert AddressFilter()(address) is allowed


def test_rest_of_the_address_space_of_ipv6_is_denied():
    """Global unicast addresses are all in 2000::/3; NAT64 is apart (RFC 4291 s.2.4, IANA IPv6 address space)."""
    for first in range(0x100, 0x10000, 0x80):
        address = ipaddress.IPv6Address(first << 112 | 1)
        assert AddressFilter()(address) is (0x2000 <= first < 0x4000)


def mapped(address, prefix):
    return ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(address))


def by_bytes(layout):
    """RFC 6052 s.2.2, and others that put the four bytes of an address between others."""

    def written(address):
        data = bytearray(ipaddress.IPv6Address(layout[0]).packed)
        for place, byte in zip(layout[1:], address.packed, strict=True):
            data[place] = byte
        return ipaddress.IPv6Address(bytes(data))

    return written


FORMS = {
    "IPv4-compatible": lambda address: mapped(address, "::"),
    "IPv4-mapped": lambda address: mapped(address, "::ffff:0:0"),
    "IPv4-translated": lambda address: mapped(address, "::ffff:0:0:0"),
    "NAT64": lambda address: mapped(address, "64:ff9b::"),
    "local NAT64, 96 bits": lambda address: mapped(address, LOCAL_NAT64),
    "local NAT64, 96 bits of another subnet": lambda address: mapped(address, "64:ff9b:1:7:0:9::"),
    "local NAT64, 64 bits": by_bytes((LOCAL_NAT64, 9, 10, 11, 12)),
    "local NAT64, 56 bits": by_bytes((LOCAL_NAT64, 7, 9, 10, 11)),
    "local NAT64, 48 bits": by_bytes((LOCAL_NAT64, 6, 7, 9, 10)),
    "6to4": by_bytes(("2002::1", 2, 3, 4, 5)),
    "server of Teredo": by_bytes(("2001:0:0:0:8000:0:f7f7:f7f7", 4, 5, 6, 7)),
    "client of Teredo": lambda address: mapped(~int(address) & 0xFFFFFFFF, "2001:0:808:808::"),
    "ISATAP": lambda address: mapped(address, "2a00:1450::5efe:0:0"),
    "ISATAP of a public address": lambda address: mapped(address, "2a00:1450::200:5efe:0:0"),
    "ISATAP, link-local": lambda address: mapped(address, "fe80::5efe:0:0"),
}


def test_forms_are_what_the_standards_show():
    address = ipaddress.IPv4Address("192.0.2.33")
    for form, text in (
        ("NAT64", "64:ff9b::192.0.2.33"),
        ("local NAT64, 48 bits", "64:ff9b:1:c000:2:2100::"),
        ("local NAT64, 56 bits", "64:ff9b:1:c0:0:221::"),
        ("local NAT64, 64 bits", "64:ff9b:1:0:c0:2:2100::"),
        ("6to4", "2002:c000:221::1"),
    ):
        assert FORMS[form](address) == ipaddress.IPv6Address(text)
    assert FORMS["client of Teredo"](address).teredo[1] == address
    assert FORMS["server of Teredo"](address).teredo[0] == address


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("block", [block for block, reachable in IPV4.items() if reachable is not True])
def test_denied_ipv4_addresses_are_denied_in_every_form(form, block):
    """By the filter that denies this block alone, too: not only because of the prefix around."""
    network = ipaddress.ip_network(block)
    for address in some(network):
        written = form(address)
        assert not AddressFilter()(written)
        if written in map(ipaddress.IPv6Address, ("::", "::1")):
            continue  # not IPv4-compatible (RFC 4291 s.2.5.5.1)
        if network[0] == ipaddress.IPv4Address("0.0.0.0") and written in ipaddress.ip_network("64:ff9b:1::/48"):
            continue  # nor is what no translator leads to told from the bits around it
        assert not AddressFilter(deny=[block])(written)


@pytest.mark.parametrize("block", TRANSLATED)
def test_public_ipv4_addresses_are_allowed_where_they_can_be_reached(block):
    network = ipaddress.ip_network(block)
    for text in ("1.1.1.1", "8.8.8.8", "192.31.196.1", "223.255.255.255"):
        assert AddressFilter()(mapped(ipaddress.IPv4Address(text), network[0]))
    assert not AddressFilter()(network[0])
    assert not AddressFilter()(network[-1])


def test_what_an_address_leads_to_does_not_allow_the_address():
    """An address that can be read in several ways is allowed only if each of them is."""
    judge = AddressFilter(allow=["10.0.0.0/8"])
    assert judge(ipaddress.ip_address("64:ff9b::10.0.0.1"))
    assert judge(ipaddress.ip_address("::ffff:10.0.0.1"))
    assert not judge(ipaddress.ip_address("64:ff9b:1::10.0.0.1"))
    assert not judge(ipaddress.ip_address("fd00::5efe:10.0.0.1"))
    teredo = ipaddress.ip_address("2001:0:a00:1:0:0:80ff:fffe")  # of the server 10.0.0.1, and of 127.0.0.1 behind it
    assert not AddressFilter(allow=["10.0.0.0/8"], deny=["private", "loopback"])(teredo)
    assert AddressFilter(allow=["10.0.0.0/8", "loopback"], deny=["private", "loopback"])(teredo)


def test_local_nat64_that_is_allowed_leads_to_public_addresses():
    judge = AddressFilter(deny=["loopback", "link-local", "unspecified", "multicast", "reserved"])
    assert judge(ipaddress.ip_address("64:ff9b:1::8.8.8.8"))
    assert not judge(ipaddress.ip_address("64:ff9b:1::127.0.0.1"))


def test_networks_of_mapped_addresses_are_networks_of_ipv4():
    for address in ("10.1.2.3", "::ffff:10.1.2.3"):
        address = ipaddress.ip_address(address)
        assert not AddressFilter(deny=["::ffff:10.0.0.0/104"])(address)
        assert AddressFilter(allow=["::ffff:10.0.0.0/104"])(address)
