"""Inventories, and the SBOM that they travel as."""

from __future__ import annotations

import json
import string

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from hubtool.errors import HubtoolError
from hubtool.image.inventory import Inventory, read_sbom, size_by_package, take_inventory, write_sbom
from hubtool.image.owners import find_owners
from hubtool.image.packages import ECOSYSTEMS, Package
from tests.image.owners.images import conda_record, image, wheel

SITE = "opt/lib/python3.11/site-packages"


def check_schema(data: bytes) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    Bom.from_json(json.loads(data))  # type: ignore[attr-defined]


def test_an_images_inventory_comes_back_from_its_sbom() -> None:
    files = image(
        {
            "etc/os-release": 'NAME="Debian"\nVERSION_ID="12"\nID=debian\n',
            **wheel(SITE, "b", "b.py", needs=("a",)),
            **wheel(SITE, "a"),
            f"{SITE}/b.py": "1234",
            "srv/conda/conda-meta/numpy-1-0.json": conda_record("numpy"),
            "srv/x/caf\udce9": "12",
        }
    )
    inventory = take_inventory(files, find_owners(files))
    data = write_sbom(inventory)
    check_schema(data)
    assert read_sbom(data) == inventory
    assert inventory.distribution == "debian-12"
    assert inventory.rest["srv"] == 2
    assert inventory.packages[-1].depends == (f"pypi:{SITE}:a",)


def test_sizes_count_every_file_once() -> None:
    files = image(
        {
            **wheel(SITE, "a", "a.py", "b.py"),
            f"{SITE}/a.py": "x" * 1000,
            f"{SITE}/b.py": f"={SITE}/a.py",
            "root/.cache/uv/x": f"={SITE}/a.py",
            "usr/lib/x": "12345",
            "usr/y": "->lib/x",
            "top": "1",
        }
    )
    sizes = size_by_package(files, find_owners(files))
    assert sizes["usr"] == 5
    assert sizes["/"] == 1
    assert sum(sizes.values()) == sum(entry.size for entry in files.visible.values() if not entry.twin)
    assert 1000 < sizes[f"pypi:{SITE}:a"] < 2000
    assert set(sizes) == {"usr", "/", f"pypi:{SITE}:a"}


PURLS = [
    (Package("dpkg", "libc6", "2.36-9+deb12u9", ""), "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?distro=debian-12"),
    (Package("dpkg", "libc6:i386", "1:2", ""), "pkg:deb/debian/libc6@1:2?arch=i386&distro=debian-12"),
    (Package("conda", "numpy", "1.26", "srv/conda"), "pkg:conda/numpy@1.26"),
    (Package("pypi", "ruamel-yaml", "0.18", "x"), "pkg:pypi/ruamel-yaml@0.18"),
    (Package("r", "data.table", "1.15", "x"), "pkg:cran/data.table@1.15"),
    (Package("npm", "@types/node", "20.1", "x"), "pkg:npm/%40types/node@20.1"),
    (Package("jupyter", "@me/lab", "", "x"), "pkg:npm/%40me/lab"),
]


@pytest.mark.parametrize(("package", "purl"), PURLS, ids=[package.ecosystem for package, _ in PURLS])
def test_every_package_has_its_address(package: Package, purl: str) -> None:
    data = json.loads(write_sbom(Inventory((package,), {package.key: 1}, {}, "debian-12")))
    found = PackageURL.from_string(data["components"][0]["purl"])
    assert found == PackageURL.from_string(purl)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zs", "Zl", "Zp"]), min_size=1, max_size=20)
PLAIN = st.text(string.ascii_lowercase + "-./@:", min_size=1, max_size=8)
PACKAGES = st.builds(Package, st.sampled_from(ECOSYSTEMS), TEXT | PLAIN, TEXT | st.just(""), TEXT | st.just(""))


@settings(max_examples=60, deadline=None)
@given(st.lists(PACKAGES, unique_by=lambda package: package.key, max_size=8), st.data())
def test_any_inventory_is_valid_and_comes_back(packages: list[Package], data: st.DataObject) -> None:
    keys = [package.key for package in packages]
    sizes = {key: data.draw(st.integers(0, 10**15)) for key in sorted(keys)}
    rest = data.draw(st.dictionaries(PLAIN, st.integers(0, 10**15), max_size=3))
    inventory = Inventory(tuple(sorted(packages)), sizes, rest, "ubuntu-24.04")
    found = write_sbom(inventory)
    check_schema(found)
    assert read_sbom(found) == inventory
    assert write_sbom(read_sbom(found)) == found


def test_equal_inventories_are_equal_bytes_and_others_have_other_serial_numbers() -> None:
    def sbom(version: str) -> bytes:
        return write_sbom(Inventory((Package("r", "a", version, ""),), {"r::a": 1}, {}))

    assert sbom("1") == sbom("1")
    assert b"timestamp" not in sbom("1")
    serials = [json.loads(sbom(version))["serialNumber"] for version in ("1", "1", "2")]
    assert serials[0] == serials[1] != serials[2]


def test_the_sbom_of_another_tool_gives_its_packages() -> None:
    components = [
        {"type": "library", "name": "libc6", "version": "2.36", "purl": "pkg:deb/debian/libc6@2.36?arch=amd64"},
        {"type": "library", "group": "@types", "name": "node", "version": "20", "purl": "pkg:npm/%40types/node@20"},
        {"type": "library", "name": "log4j", "version": "2", "purl": "pkg:maven/x/log4j@2"},
        {"type": "operating-system", "name": "debian"},
    ]
    found = read_sbom(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components}).encode())
    assert [(package.ecosystem, package.name, package.version) for package in found.packages] == [
        ("dpkg", "libc6", "2.36"),
        ("npm", "@types/node", "20"),
    ]
    assert set(found.sizes.values()) == {0}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"bomFormat": "SPDX"}', b"\xff\xfe", b"[" * 100_000, b"1" * 5000]
)
def test_what_is_no_sbom_is_an_error(data: bytes) -> None:
    with pytest.raises(HubtoolError, match="the SBOM"):
        read_sbom(data)


KEYS = st.sampled_from(["name", "value", "version", "purl", "properties", "ref", "dependsOn"])
ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["hubtool:size", "hubtool:ecosystem", "r", "-1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["components", "dependencies", "metadata"]), ODD))
def test_an_sbom_of_wrong_kinds_gives_what_can_be_read(document: dict[str, object]) -> None:
    found = read_sbom(json.dumps({"bomFormat": "CycloneDX", **document}).encode())
    assert set(found.sizes) == {package.key for package in found.packages}
