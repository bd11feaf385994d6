"""What is installed in an image and how big it is; as a CycloneDX SBOM (cyclonedx.org, 1.6) it travels with it.

Equal inventories give equal bytes: the SBOM has no time, and its serial number comes from its content.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hubtool.errors import HubtoolError
from hubtool.image.files import ImageFiles
from hubtool.image.packages import ECOSYSTEMS, Ownership, Package

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

MEDIA_TYPE = "application/vnd.cyclonedx+json"
MAX_SBOM = 64_000_000  # bytes; that of an image of 3000 packages has 2 MB
PURL_TYPES = {"dpkg": "deb", "conda": "conda", "pypi": "pypi", "r": "cran", "npm": "npm", "jupyter": "npm"}

_HEAD = {
    "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
}
_SERIAL = uuid.UUID("5d0c6f0e-6e0f-5f0b-9d5c-0b8a3a0f7f11")  # the namespace of our serial numbers; has no meaning
_PROPERTY = "hubtool:"
_REST = f"{_PROPERTY}rest:"
_RELEASE = re.compile(r"""^(ID|VERSION_ID)=["']?([a-z0-9._-]+)["']?\s*$""", re.MULTILINE)


@dataclass(frozen=True)
class Inventory:
    """The packages of an image, sorted. ``sizes`` are bytes installed, by key of package; ``rest`` those of the
    files that are nobody's, by top folder. ``distribution`` is os-release's, as "debian-12"; "" for none."""

    packages: tuple[Package, ...]
    sizes: Mapping[str, int]
    rest: Mapping[str, int]
    distribution: str = ""


def take_inventory(files: ImageFiles, ownership: Ownership) -> Inventory:
    """The inventory of an image."""
    sizes = size_by_package(files, ownership)
    packages = {package.key for package in ownership.packages}
    rest = {key: size for key, size in sizes.items() if key not in packages}
    release = dict(_RELEASE.findall(files.text("etc/os-release") or ""))
    distribution = "-".join(release[key] for key in ("ID", "VERSION_ID") if key in release)
    return Inventory(ownership.packages, {key: sizes[key] for key in sorted(packages)}, rest, distribution)


def size_by_package(files: ImageFiles, ownership: Ownership) -> Mapping[str, int]:
    """The bytes of each package by its key, and of what is nobody's by its top folder, "/" for none.

    A file with several names counts once.
    """
    sizes = {package.key: 0 for package in ownership.packages}
    for path, entry in sorted(files.visible.items()):
        if entry.kind == "file" and not entry.twin:
            key = ownership.owner.get(path) or path.partition("/")[0] * ("/" in path) or "/"
            sizes[key] = sizes.get(key, 0) + entry.size
    return sizes


def write_sbom(inventory: Inventory) -> bytes:
    """The inventory as CycloneDX JSON."""
    from cyclonedx.schema.schema import SchemaVersion1Dot6

    # Not through the library's outputter: that looks at every package for each package.
    document = _HEAD | json.loads(_bom(inventory).as_json(view_=SchemaVersion1Dot6))  # type: ignore[attr-defined]
    document["metadata"].pop("timestamp")
    document.pop("serialNumber")
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = uuid.uuid5(_SERIAL, content).urn
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _bom(inventory: Inventory) -> Bom:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.dependency import Dependency

    components = {package.key: _component(package, inventory) for package in inventory.packages}
    rest = [Property(name=f"{_REST}{folder}", value=str(size)) for folder, size in inventory.rest.items()]
    distribution = Property(name=f"{_PROPERTY}distribution", value=inventory.distribution)
    dependencies = [
        Dependency(
            components[package.key].bom_ref,
            [Dependency(components[key].bom_ref) for key in package.depends if key in components],
        )
        for package in inventory.packages
    ]
    metadata = BomMetaData(properties=[distribution, *rest])
    return Bom(components=components.values(), dependencies=dependencies, metadata=metadata)


def _component(package: Package, inventory: Inventory) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    told = {
        "ecosystem": package.ecosystem,
        "place": package.place,
        "size": str(inventory.sizes.get(package.key, 0)),
    }
    return Component(
        name=package.name,
        version=package.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=package.key,
        purl=_purl(package, inventory.distribution),
        properties=[Property(name=f"{_PROPERTY}{name}", value=value) for name, value in told.items()],
    )


def _purl(package: Package, distribution: str) -> PackageURL | None:
    """The package's address; None where its name is one that no package can have."""
    from packageurl import PackageURL

    namespace, name, qualifiers = "", package.name, {}
    if package.ecosystem == "dpkg":
        namespace = distribution.partition("-")[0] or "debian"
        name, _, architecture = name.partition(":")
        qualifiers = {"arch": architecture, "distro": distribution}
    elif PURL_TYPES[package.ecosystem] == "npm" and "/" in name:
        namespace, _, name = name.partition("/")
    # It takes a name of slashes, and then has none.
    purl = PackageURL(PURL_TYPES[package.ecosystem], namespace, name or "/", package.version, qualifiers)
    return purl if purl.name else None


def read_sbom(data: bytes) -> Inventory:
    """The inventory in a CycloneDX JSON document: ours whole, of others the packages of the ecosystems known here.

    Raises HubtoolError where it is none.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HubtoolError(f"the SBOM can't be read: {error}") from error
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        raise HubtoolError("the SBOM is not CycloneDX in JSON", hint="push the image again to attach one")
    needed = {_text(item, "ref"): item.get("dependsOn") for item in _objects(document.get("dependencies"))}
    found = {package.key: (package, size) for package, size in _read(document, needed)}
    told = _told(document.get("metadata"))
    return Inventory(
        packages=tuple(sorted(package for package, _ in found.values())),
        sizes={key: found[key][1] for key in sorted(found)},
        rest={name.removeprefix("rest:"): _size(told[name]) for name in sorted(told) if name.startswith("rest:")},
        distribution=told.get("distribution", ""),
    )


def read_fullest(sboms: Iterable[bytes], tell: Callable[[str], None]) -> Inventory | None:
    """Of several SBOMs the one that says most; TELL hears why one can't be read. None where none can."""
    found: list[Inventory] = []
    for data in sboms:
        try:
            found.append(read_sbom(data))
        except HubtoolError as error:
            tell(error.message)
    return max(found, key=lambda one: (sum(one.sizes.values()), len(one.packages)), default=None)


def _read(document: Mapping[str, Any], needed: Mapping[str, Any]) -> Iterator[tuple[Package, int]]:
    for component in _objects(document.get("components")):
        told = _told(component)
        ecosystem = told.get("ecosystem") or _ecosystem(component.get("purl"))
        name, version = _text(component, "group", "name"), _text(component, "version")
        if name and ecosystem in ECOSYSTEMS:
            package = Package(ecosystem, name, version, told.get("place", ""))
            depends = needed.get(package.key)
            keys = sorted(key for key in depends if isinstance(key, str)) if isinstance(depends, list) else []
            yield replace(package, depends=tuple(keys)), _size(told.get("size"))


def _text(component: Mapping[str, Any], *keys: str) -> str:
    values = [component.get(key) for key in keys]
    return "/".join(value for value in values if isinstance(value, str) and value)


def _told(holder: object) -> dict[str, str]:
    """Our properties of a component or of the metadata."""
    items = _objects(holder.get("properties")) if isinstance(holder, dict) else []
    pairs = [(item.get("name"), item.get("value")) for item in items]
    return {
        name.removeprefix(_PROPERTY): value
        for name, value in pairs
        if isinstance(name, str) and isinstance(value, str) and name.startswith(_PROPERTY)
    }


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _ecosystem(purl: object) -> str:
    kind = purl.removeprefix("pkg:").partition("/")[0] if isinstance(purl, str) else ""
    return next((ecosystem for ecosystem, known in PURL_TYPES.items() if known == kind), "")


def _size(value: str | None) -> int:
    return int(value) if value is not None and re.fullmatch(r"[0-9]{1,18}", value) else 0
