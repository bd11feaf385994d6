"""The one client of the OCI distribution specification v1.1
(github.com/opencontainers/distribution-spec, spec.md)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import httpx

from hubtool.reference import ImageReference, is_tag
from hubtool.registries import upload
from hubtool.registries.model import Blob, Credentials, Descriptor, Manifest, Registry, RegistryError, is_digest
from hubtool.registries.session import CANCEL, PUSH, Session
from hubtool.registries.wire import Answer

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (OCI_INDEX, DOCKER_LIST)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
PAGES = 1000  # of tags; a registry that has more is not telling the truth


class RegistryClient:
    """What one repository holds, and pushing to it.

    Every method raises RegistryError (a HubtoolError) where the registry refuses, can't be reached after
    some tries or says what can't be true. Safe to use from several threads.
    """

    def __init__(
        self,
        reference: ImageReference,
        registry: Registry,
        credentials: Credentials | None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.session = Session(reference, registry, credentials, pause=pause)

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.session.close()

    def head_manifest(self, ref: str) -> Descriptor | None:
        """Digest, media type and size of the manifest at a tag or digest; None where there is none."""
        answer = self._manifest_request("HEAD", ref)
        if answer is None:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        length = answer.headers.get("Content-Length", "")
        if not is_digest(digest) or not length.isdecimal():
            manifest = self.get_manifest(ref)
            return Descriptor(manifest.digest, manifest.media_type, len(manifest.content)) if manifest else None
        self._same(ref, digest)
        return Descriptor(digest, _media_type(answer), int(length))

    def get_manifest(self, ref: str) -> Manifest | None:
        """The manifest at a tag or digest; None where there is none."""
        answer = self._manifest_request("GET", ref)
        if answer is None:
            return None
        digest = _sha256(answer.body)
        self._same(ref, digest)
        said = answer.headers.get("Docker-Content-Digest")
        if is_digest(said) and said != digest:
            raise self._lie(f"the manifest of {ref} does not have the digest that it names")
        document = self.read_json(answer.body, f"the manifest of {ref}")
        media_type = _media_type(answer) or str(document.get("mediaType", ""))
        if media_type not in (*MANIFESTS, *INDEXES):
            written = document.get("mediaType")
            media_type = written if written in (*MANIFESTS, *INDEXES) else media_type
        return Manifest(digest, media_type, answer.body)

    def get_blob(self, digest: str) -> bytes:
        """A small blob, like an image's config, its digest checked."""
        answer = self.session.request("GET", self.session.url(f"blobs/{digest}"))
        if answer.status == 404:
            raise RegistryError(f"{self.session.wire.host} does not have the blob {digest}", status=404)
        if answer.status != 200:
            self.session.fail(answer)
        if _sha256(answer.body) != digest:
            raise self._lie(f"the blob {digest} has another content")
        return answer.body

    def has_blob(self, digest: str) -> bool:
        answer = self.session.request("HEAD", self.session.url(f"blobs/{digest}"), actions=PUSH)
        if answer.status not in (200, 404):
            self.session.fail(answer, PUSH)
        return answer.status == 200

    def upload_blob(self, blob: Blob, progress: upload.Progress = lambda sent: None) -> None:
        """Send a blob, from where it stopped after a dropped connection. PROGRESS is called with the
        number of bytes of it that the registry has, as far as is known."""
        upload.upload_blob(self.session, blob, progress)

    def put_manifest(self, content: bytes, media_type: str, ref: str) -> str:
        """Publish a manifest under a tag or its own digest; returns its digest."""
        answer = self.session.request(
            "PUT",
            self.session.url(f"manifests/{ref}"),
            actions=PUSH,
            headers={"Content-Type": media_type, "Content-Length": str(len(content))},
            content=lambda: _once(content),
        )
        if answer.status not in (200, 201, 202):
            self.session.fail(answer, PUSH)
        digest = _sha256(content)
        said = answer.headers.get("Docker-Content-Digest")
        if is_digest(said) and said != digest:
            raise self._lie(f"it took the manifest for {said}, but it is {digest}")
        return digest

    def list_tags(self) -> list[str]:
        """All tags of the repository, sorted; none where there is no repository."""
        found: set[str] = set()
        pages: set[httpx.URL] = set()
        url = self.session.url("tags/list").copy_merge_params({"n": "1000"})
        while url not in pages and len(pages) < PAGES:
            pages.add(url)
            answer = self.session.request("GET", url)
            if answer.status == 404:
                return sorted(found)
            if answer.status != 200:
                self.session.fail(answer)
            tags = self.read_json(answer.body, "the list of tags").get("tags") or []
            found.update(tag for tag in tags if isinstance(tag, str) and is_tag(tag))
            following = _next_page(answer)
            if following is None:
                return sorted(found)
            if following.netloc != url.netloc:
                raise self._lie("the list of tags goes on at another host")
            url = following
        raise self._lie("the list of tags has no end")

    def check_push(self) -> None:
        """Begin an upload and take it back: raises where hubtool may not push.

        A registry whose token does not let us take it back keeps an upload of no bytes until it cleans up.
        """
        location = upload.begin(self.session)
        with contextlib.suppress(RegistryError):
            self.session.request("DELETE", location, actions=CANCEL, retry=False)

    def read_json(self, content: bytes, what: str) -> dict[str, Any]:
        """CONTENT as a JSON object; WHAT names it in the error."""
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._lie(f"{what} is not JSON") from error
        if not isinstance(document, dict):
            raise self._lie(f"{what} is not a JSON object")
        return document

    def _manifest_request(self, method: str, ref: str) -> Answer | None:
        answer = self.session.request(method, self.session.url(f"manifests/{ref}"), headers={"Accept": ACCEPT})
        if answer.status == 404:
            return None
        if answer.status != 200:
            self.session.fail(answer)
        return answer

    def _same(self, ref: str, digest: str) -> None:
        if ":" in ref and ref != digest:
            raise self._lie(f"asked for {ref}, it sent {digest}")

    def _lie(self, message: str) -> RegistryError:
        return RegistryError(f"{self.session.wire.host} can't be right: {message}")


def _once(body: bytes) -> Iterator[bytes]:
    yield body


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _media_type(answer: Answer) -> str:
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip()


def _next_page(answer: Answer) -> httpx.URL | None:
    """The address in a Link header (RFC 8288) of the kind "next"."""
    link = httpx.Response(200, headers=answer.headers).links.get("next", {}).get("url")
    try:
        return answer.url.join(link) if link else None
    except httpx.InvalidURL:
        return None
