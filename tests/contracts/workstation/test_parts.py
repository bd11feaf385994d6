"""What is read of a container's /proc, log and protocols."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.contracts.workstation.inside import Process, attempts, listening_in
from hubtool.contracts.workstation.rfb import respond
from hubtool.contracts.workstation.running import index_in
from hubtool.contracts.workstation.secrecy import MOST, candidates

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def socket(address: str, state: str = "0A") -> str:
    return f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000\n"


SOCKETS = {
    "every address": (socket("00000000:170C"), {5900: True}),
    "loopback": (socket("0100007F:22B8"), {8888: False}),
    "another address of loopback": (socket("3500007F:22B8"), {8888: False}),
    "every IPv6 address": (socket(f"{'0' * 32}:08AE"), {2222: True}),
    "IPv6 loopback": (socket(f"{'0' * 24}01000000:08AE"), {2222: False}),
    "IPv4 loopback in IPv6": (socket(f"{'0' * 16}FFFF00000100007F:08AE"), {2222: False}),
    "both": (socket("0100007F:22B8") + socket("0200A8C0:22B8"), {8888: True}),
    "connected": (socket("00000000:170C", "01"), {}),
    "nothing": ("", {}),
    "no sockets": ("cat: /proc/net/tcp6: No such file or directory\n", {}),
}


@pytest.mark.parametrize("name", SOCKETS)
def test_listening_ports_are_read_from_the_kernels_table(name: str) -> None:
    text, expected = SOCKETS[name]
    assert listening_in(HEAD + text) == expected


COUNTERS = [
    ("Ip: Forwarding OutRequests OutNoRoutes\nIp: 1 0 3\nIcmp: A\nIcmp: 0\n", 3),
    ("the start said something\nIp: OutNoRoutes\nIp: 0\n", 0),
    ("Ip: Forwarding\nIp: 1\n", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "count"), COUNTERS)
def test_attempts_are_what_the_kernel_had_no_route_for(text: str, count: int | None) -> None:
    assert attempts(text) == count


PROGRAMS = [
    ("x11vnc", ["x11vnc", "-display", ":1"], "x11vnc", True),
    ("sshd", ["sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"], "sshd", True),
    ("python3", ["/usr/bin/python3", "/usr/bin/supervisord", "-n"], "supervisord", True),
    ("a-name-of-more-t", ["/opt/a-name-of-more-than-fifteen"], "a-name-of-more-than-fifteen", True),
    ("bash", ["bash", "-c", "x11vnc"], "x11vnc", False),
    ("sleep", ["sleep", "1"], "openbox", False),
    ("kworker", [""], "sshd", False),
]


@pytest.mark.parametrize(("name", "argv", "program", "expected"), PROGRAMS)
def test_a_process_is_told_by_its_program(name: str, argv: list[str], program: str, expected: bool) -> None:
    assert Process(1, name, [1000], argv, {}).is_program(program) == expected


LOGS = [
    ("chaimeleon password random generated: aZ9_x-Qw12345678", ["aZ9_x-Qw12345678"]),
    ("PASSWORD=aZ9xQw1234", ["PASSWORD=aZ9xQw1234", "aZ9xQw1234"]),
    ("Changing password for the user chaimeleon", []),
    ("passwd: password updated successfully", []),
    ("stored passwd in file: /home/ds/.password2", []),
    ("Server listening on 0.0.0.0 port 2222aBc.", []),
]


@pytest.mark.parametrize(("log", "expected"), LOGS)
def test_words_that_may_be_passwords_are_found_in_a_log(log: str, expected: list[str]) -> None:
    assert candidates(f"begin\n{log}\nend\n") == expected


@given(st.text(max_size=2000))
def test_any_log_has_few_candidates(log: str) -> None:
    assert len(candidates(log)) <= MOST


def test_a_challenge_is_answered_as_vnc_does() -> None:
    # A well-known vector of DES, key 0E329232EA6D0D73: VNC reverses the bits of each byte of a password
    assert respond("pLILW60N", bytes([0x87]) * 16) == bytes(16)


def test_only_the_first_eight_characters_of_a_vnc_password_count() -> None:
    assert respond("12345678", bytes(16)) == respond("123456789", bytes(16)) != respond("1234567", bytes(16))


MACHINE, USER, VARIABLE = (
    "global.index-url='http://m/simple'\n",
    "install.index-url='http://u/'\n",
    ":env:.index-url='e'\n",
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", ""),
        (MACHINE, "http://m/simple"),
        (MACHINE + "global.trusted-host='m'\n" + USER, "http://u/"),
        (VARIABLE + MACHINE + USER, "e"),
        ("global.extra-index-url='http://m/simple'\n", ""),
    ],
)
def test_the_index_that_pip_asks_is_read_from_its_settings(said: str, expected: str) -> None:
    assert index_in(said) == expected
