"""What is attached to an image: manifests that name it as their subject, like its inventory.

A registry lists them (the referrers API of the OCI distribution specification, v1.1). For one that does not,
clients keep an index of them, under a tag made of the subject's digest ("Unavailable Referrers API" there).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hubtool.registries.manifests import NOTHING, OCI_INDEX, OCI_MANIFEST, attachment, digest_of, index_of, written
from hubtool.registries.manifests import read_descriptor as read
from hubtool.registries.model import Descriptor, RegistryError
from hubtool.registries.wire import ATTEMPTS

if TYPE_CHECKING:
    from hubtool.registries.client import RegistryClient

SETTLED = 0.5  # seconds after which all that looked at the index before it was written have written it
WITHOUT_API = (400, 404, 405, 406, 501)


def fallback_tag(digest: str) -> str:
    """The tag that lists what is attached to DIGEST where the registry does not."""
    return digest.replace(":", "-")


def list_referrers(client: RegistryClient, digest: str, artifact_type: str) -> list[Descriptor]:
    """See RegistryClient.referrers."""
    found = _by_api(client, digest, artifact_type)
    if found is None:
        found = _tagged(client, fallback_tag(digest))[1]
    entries = [entry for entry in map(read, found) if entry and artifact_type in ("", entry.artifact_type)]
    return sorted({entry.digest: entry for entry in entries}.values(), key=lambda entry: entry.digest)


def _by_api(client: RegistryClient, digest: str, artifact_type: str) -> list[Any] | None:
    """The entries of all pages; None where the registry lacks the API."""
    url = client.session.url(f"referrers/{digest}")
    if artifact_type:
        url = url.copy_merge_params({"artifactType": artifact_type})
    found: list[Any] = []
    for answer in client.pages(url, "the list of referrers", {"Accept": OCI_INDEX}):
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if answer.status in WITHOUT_API or (answer.status == 200 and kind != OCI_INDEX):
            return None
        if answer.status != 200:
            client.session.fail(answer)
        found += _entries(client.read_json(answer.body, "the list of referrers"))
    return found


def _tagged(client: RegistryClient, tag: str) -> tuple[str, list[Any]]:
    """The digest of the index at TAG and its entries; "" and none where there is no such tag."""
    manifest = client.get_manifest(tag)
    if manifest is None:
        return "", []
    if manifest.media_type != OCI_INDEX:
        raise RegistryError(
            f"{client.session.reference.name}:{tag} is no index of what is attached to an image",
            hint="the OCI distribution specification keeps that name for one: remove the tag",
        )
    return manifest.digest, _entries(client.read_json(manifest.content, f"the index {tag}"))


def _entries(document: Mapping[str, Any]) -> list[Any]:
    entries = document.get("manifests")
    return entries if isinstance(entries, list) else []


def put_referrer(
    client: RegistryClient,
    subject: Descriptor,
    artifact_type: str,
    media_type: str,
    content: bytes,
    annotations: Mapping[str, str],
) -> Descriptor:
    """See RegistryClient.put_referrer."""
    for needed in (NOTHING, content):
        client.upload_bytes(needed)
    blob = Descriptor(digest_of(content), media_type, len(content))
    manifest = attachment(subject, artifact_type, blob, annotations)
    digest = digest_of(manifest)
    answer = client.send_manifest(manifest, OCI_MANIFEST, digest)
    entry = Descriptor(digest, OCI_MANIFEST, len(manifest), artifact_type, annotations)
    if answer.headers.get("OCI-Subject") != subject.digest:
        _enter(client, fallback_tag(subject.digest), entry)
    return entry


def _enter(client: RegistryClient, tag: str, entry: Descriptor) -> None:
    """See that the index at TAG has ENTRY and keeps all others.

    No registry can be asked to write only where nothing changed since it was read. So it is looked at right
    before and after; where another writer was faster, all is done again, after a while that differs from theirs.
    """
    for attempt in range(1, ATTEMPTS + 1):
        before, entries = _tagged(client, tag)
        if entry.digest in map(_digest, entries):
            return
        index = index_of(sorted([*entries, written(entry)], key=_digest))
        now = client.head_manifest(tag)
        if (now.digest if now else "") == before:
            client.put_manifest(index, OCI_INDEX, tag)
            client.session.wire.pause(SETTLED)
            if entry.digest in map(_digest, _tagged(client, tag)[1]):
                return
        client.session.wire.wait(attempt)
    raise RegistryError(
        f"{client.session.reference.name}:{tag} is written by others all the time",
        hint="run the same command again",
    )


def _digest(entry: object) -> str:
    found = read(entry)
    return found.digest if found else ""
