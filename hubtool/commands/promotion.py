"""Built once: images are found again by the fingerprint of what they are made of, and released by that very digest.

Beside its releases a repository has a tag a fingerprint. Whoever may push sets it, after the image passed its
contract, which the manifest says: nothing that a fork's pull request builds can get there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hubtool.commands.earlier import annotation, document_of
from hubtool.console import say
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.image.pack import MANIFEST_TYPE
from hubtool.plan import Variant
from hubtool.reference import ImageReference
from hubtool.registries import registry_for
from hubtool.registries.client import ACCEPT, RegistryClient
from hubtool.registries.manifests import digest_of
from hubtool.registries.model import Manifest
from hubtool.registries.wire import Patience

# Annotations of a manifest: what the image was made of; the contract it passed, and how.
FINGERPRINT, TESTED, SUMMARY = "hubtool.fingerprint", "hubtool.tested", "hubtool.test-summary"
TESTS = "hubtool.tests"  # a hash of the repository's own tests, which say nothing to the fingerprint
IMAGE_TESTS, BROWSER_TESTS = "image-tests", "browser-tests"
SHORT = Patience(connect=5, other=10)  # an answer spares a build; without one there is a build


def fingerprint_tag(fingerprint: str) -> str:
    """The tag of the image with FINGERPRINT."""
    return f"fingerprint-{fingerprint[:32]}"


def find_built(variant: Variant, fingerprint: str) -> Manifest | None:
    """The image that the registry has of FINGERPRINT, if it passed VARIANT's contract and tests; None also where it
    can't be asked."""
    reference = variant.reference
    manifest = look_up(reference.with_tag(fingerprint_tag(fingerprint)))
    if manifest is None or manifest.media_type != MANIFEST_TYPE:
        return None
    document = document_of(manifest.content)
    if annotation(document, FINGERPRINT) != fingerprint:
        return None
    passed = annotation(document, TESTED), annotation(document, TESTS)
    if passed != (variant.contract, hash_of_tests(variant.root)):
        say(f"{reference.name} has this image, but it did not pass today's tests: building it here")
        return None
    return manifest


def hash_of_tests(root: Path) -> str:
    """A hash of names and contents of ROOT's image-tests/ and browser-tests/."""
    found = hashlib.sha256()
    for path in sorted(path for folder in (IMAGE_TESTS, BROWSER_TESTS) for path in (root / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{path.relative_to(root)}\0{content}\n".encode(errors="surrogateescape"))
    return found.hexdigest()[:32]


def look_up(reference: ImageReference) -> Manifest | None:
    """What stands at a tag, asked for once; None where there is nothing, or no answer."""
    try:
        registry = registry_for(reference)
        with RegistryClient(reference, registry, registry.credentials(reference), patience=SHORT) as client:
            url = client.session.url(f"manifests/{reference.tag or 'latest'}")
            answer = client.session.request("GET", url, headers={"Accept": ACCEPT}, retry=False)
    except HubtoolError:
        return None
    if answer.status != 200:
        return None
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    return Manifest(digest_of(answer.body), media_type, answer.body)


def base_digest(engine: Callable[[], Engine]) -> Callable[[str], str]:
    """The digest of a base image: its registry's, else the id that the engine has, which is started for that only;
    "" where neither knows it."""

    @cache
    def digest(name: str) -> str:
        try:
            reference = ImageReference.parse(name)
        except HubtoolError:
            return ""
        if reference.digest:
            return reference.digest
        found = look_up(reference)
        if found:
            return found.digest
        held = engine().inspect(name)
        return held.id if held else ""

    return digest
