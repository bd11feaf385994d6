from __future__ import annotations

import ipaddress
import json

import pytest

from hubtool import process
from hubtool.errors import HubtoolError
from hubtool.sandbox.bridge import own_bridge


def addresses(bridge: str) -> list[ipaddress.IPv4Interface]:
    shown = json.loads(process.run("ip", "-json", "address", "show").stdout)
    return [
        ipaddress.IPv4Interface(f"{address['local']}/{address['prefixlen']}")
        for device in shown
        if device.get("ifname") == bridge
        for address in device["addr_info"]
        if address["family"] == "inet"
    ]


def test_two_bridges_have_networks_that_do_not_meet_and_go_with_their_block() -> None:
    with own_bridge("hub-test-one") as one, own_bridge("hub-test-two") as two:
        (first,), (second,) = addresses(one), addresses(two)
        assert not first.network.overlaps(second.network)
    assert addresses("hub-test-one") == addresses("hub-test-two") == []


def hardware_address(device: str) -> str:
    (shown,) = json.loads(process.run("ip", "-json", "link", "show", "dev", device).stdout)
    return str(shown["address"])


def test_a_bridge_keeps_its_hardware_address_whatever_comes_and_goes() -> None:
    with own_bridge("hub-test-kept") as bridge:
        before = hardware_address(bridge)
        pair = ("type", "veth", "peer", "name", "hub-peer")
        process.run("ip", "link", "add", "name", "hub-port", "address", "02:00:00:00:00:01", *pair)
        try:
            process.run("ip", "link", "set", "dev", "hub-port", "master", bridge)
            assert hardware_address(bridge) == before
        finally:
            process.run("ip", "link", "delete", "dev", "hub-port")
        assert hardware_address(bridge) == before


def test_a_bridge_that_a_killed_run_left_is_replaced() -> None:
    process.run("ip", "link", "add", "name", "hub-test-left", "type", "bridge")
    with own_bridge("hub-test-left") as bridge:
        assert len(addresses(bridge)) == 1
    assert addresses("hub-test-left") == []


def test_a_bridge_that_can_t_be_made_is_one_clear_error() -> None:
    with pytest.raises(HubtoolError, match="no network bridge can be made"), own_bridge("a name/that is none"):
        pass
