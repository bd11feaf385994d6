from __future__ import annotations

import subprocess

import pytest

from hubtool.machine import architecture_of


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("riscv64", "riscv64")],
)
def test_a_machine_is_called_as_images_call_it(machine: str, architecture: str) -> None:
    assert architecture_of(machine) == architecture


def test_this_machine_is_called_as_debian_calls_it() -> None:
    told = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    assert architecture_of() == told.stdout.strip()
