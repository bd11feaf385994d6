from __future__ import annotations

import pytest

from hubtool.config import Deployment
from hubtool.image.changes import Change, Difference, Pull
from hubtool.image.inventory import MEDIA_TYPE, Inventory, write_sbom
from hubtool.image.packages import Package
from hubtool.pins.proposals.packages import Comparison, packages_section
from hubtool.pins.proposals.releases import Releases
from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from tests.conftest import LocalRegistry
from tests.pins.bumping import nobody
from tests.registries.parts import client_for, put_image

__all__ = ["nobody"]


def change(name: str, old: str | None, new: str | None, ecosystem: str = "conda") -> Change:
    return Change(ecosystem, name, "srv/conda", old, new, 10, 20)


def test_majors_stand_first_in_their_ecosystem_and_are_marked() -> None:
    changes = (
        change("b", "1.0", "1.1"),
        change("c", "1.9", "2.0"),
        change("a", None, "3"),
        change("z", "1", None, "r"),
    )
    text = packages_section(
        Comparison(Difference(changes, {}, 1_500_000_000, 1_600_000_000), Pull(1, 38_000_000, 2, 3))
    )
    assert text.startswith("Packages: 4 differ, **1 by a major version**.\n\n|")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows == [
        "| conda **major** | `c` | `1.9` | `2.0` |",
        "| conda added | `a` |  | `3` |",
        "| conda changed | `b` | `1.0` | `1.1` |",
        "| r removed | `z` | `1` |  |",
    ]
    assert text.endswith("Size: installed 1.6 GB (+100 MB), a node that has the old image pulls 38 MB.")


def test_names_from_outside_are_no_markup_and_many_are_cut() -> None:
    changes = tuple(change(f"p{number} | <b>@all", "1.0", "1.1") for number in range(500))
    text = packages_section(Comparison(Difference(changes, {}, 1, 1)))
    assert "`p0 \\| <b>@all`" in text
    assert "… and 440 more." in text


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert packages_section(Comparison()) == ""
    assert packages_section(Comparison(Difference((), {}, 1000, 1000))) == (
        "Packages: none differs.\n\nSize: installed 1.0 kB (+0 B)."
    )


@pytest.fixture(scope="module")
def image(registry: LocalRegistry) -> ImageReference:
    """Tags with a list of packages, one with another list, and one without."""
    reference = ImageReference(registry.host, "team/packages")
    with client_for(reference, Credentials(registry.username, registry.password)) as client:
        for tag, version in (("old", "1.9.0"), ("new", "2.0.1"), ("bare", "")):
            put_image(client, tag, labels={"tag": tag})
            subject = client.head_manifest(tag)
            assert subject is not None
            if version:
                package = Package("pypi", "numpy", version, "srv/conda/lib/python3.11/site-packages")
                sbom = write_sbom(Inventory((package,), {package.key: 1000}, {}))
                client.put_referrer(subject, MEDIA_TYPE, MEDIA_TYPE, sbom, {})
    return reference


def compared(image: ImageReference, old: str, new: str) -> str:
    releases = Releases(Deployment(repository="x"))
    release, before = releases.find(image.with_tag(new), [old])
    return packages_section(releases.compare(before, release)) if before else "?"


def test_two_releases_that_carry_a_list_are_compared(image: ImageReference) -> None:
    text = compared(image, "old", "new")
    assert "| pypi **major** | `numpy` | `1.9.0` | `2.0.1` |" in text
    assert "a node that has the old image pulls 0 B" in text


def test_a_release_without_a_list_leaves_the_section_out(image: ImageReference) -> None:
    assert "Packages" not in compared(image, "bare", "new")
