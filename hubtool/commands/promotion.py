"""Built once: images are found again by the fingerprint of what they are made of, and released by that very digest.

Beside its releases a repository has a tag a fingerprint. Whoever may push sets it, after the image passed its
contract, which the manifest says: nothing that a fork's pull request builds can get there.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable

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
BUILT = "hubtool.built"  # when (ISO 8601, UTC)
TESTS = "hubtool.tests"  # a hash of what it was tested with, which says nothing to the fingerprint
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
    if passed != (variant.contract, hash_of_tests(variant)):
        say(f"{reference.name} has this image, but it did not pass today's tests: building it here")
        return None
    return manifest


def hash_of_tests(variant: Variant) -> str:
    """A hash of what VARIANT is tested with and the fingerprint does not know: names and contents of image-tests/,
    browser-tests/ and its own checks, and what hubtool.yaml tells the contract."""
    told = variant.job.settings.model_dump_json(include={"profile", "parameters", "known_issues", "tests"})
    found = hashlib.sha256(f"{told}\n".encode())
    root = variant.root
    folders = [IMAGE_TESTS, BROWSER_TESTS, *filter(None, [variant.job.settings.tests])]
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{path.relative_to(root)}\0{content}\n".encode(errors="surrogateescape"))
    return found.hexdigest()[:32]


def is_old(built: str | None, freshness: datetime.timedelta | None) -> bool:
    """Whether what was BUILT then (ISO 8601) has to be built again; also what nobody knows the age of."""
    if freshness is None:
        return False
    try:
        then = datetime.datetime.fromisoformat(built or "")
        return datetime.datetime.now(datetime.UTC) - then > freshness
    except (ValueError, TypeError):  # no time, or one without its zone
        return True


def look_up(reference: ImageReference) -> Manifest | None:
    """What stands at a tag, asked for once; None where there is nothing, or no answer."""
    try:
        return ask_for(reference)
    except HubtoolError:
        return None


def ask_for(reference: ImageReference) -> Manifest | None:
    """What stands at a tag or digest, asked for once; None where there is nothing. Raises HubtoolError for any other
    answer, and for none."""
    with short_client(reference) as client:
        url = client.session.url(f"manifests/{reference.digest or reference.tag or 'latest'}")
        answer = client.session.request("GET", url, headers={"Accept": ACCEPT}, retry=False)
        if answer.status == 404:
            return None
        if answer.status != 200:
            client.session.fail(answer)
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    return Manifest(digest_of(answer.body), media_type, answer.body)


def short_client(reference: ImageReference) -> RegistryClient:
    """A client that gives up soon."""
    registry = registry_for(reference)
    return RegistryClient(reference, registry, registry.credentials(reference), patience=SHORT)


class Bases:
    """The digests of base images: a registry's, else the id that the engine has, which START gives for that only.

    PARENT, the base that is an image of the same run, has the id that it was built with, wherever it is now.
    """

    def __init__(self, start: Callable[[], Engine], parent: tuple[str, str] = ("", "")) -> None:
        self._start = start
        self._parent, self._parents_id = parent
        self._released: dict[str, str] = {}

    @classmethod
    def of(cls, variant: Variant, start: Callable[[], Engine]) -> Bases:
        """Those of VARIANT, of which its parent may be one."""
        base = variant.job.settings.base if variant.job.on_parent else ""
        return cls(start, (str(base), variant.parent_id))

    def released(self, name: str) -> str:
        """The digest that NAME has in its registry; "" where that does not tell, or it is the parent."""
        if name == self._parent:
            return ""
        if name not in self._released:
            self._released[name] = _released(name)
        return self._released[name]

    def digest(self, name: str) -> str:
        """The registry's digest, else the engine's id; "" where neither knows it."""
        if name and name == self._parent:
            return self._parents_id
        found = self.released(name)
        if found or not _is_reference(name):
            return found
        held = self._start().inspect(name)
        return held.id if held else ""


def _is_reference(name: str) -> bool:
    try:
        ImageReference.parse(name)
    except HubtoolError:
        return False
    return True


def _released(name: str) -> str:
    if not _is_reference(name):
        return ""
    reference = ImageReference.parse(name)
    if reference.digest:
        return reference.digest
    found = look_up(reference)
    return found.digest if found else ""
