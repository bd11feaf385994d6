"""The one client of the OCI distribution specification v1.1
(github.com/opencontainers/distribution-spec, spec.md)."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import httpx

from hubtool.reference import ImageReference, is_tag
from hubtool.registries import download, referrers, stream, upload
from hubtool.registries.manifests import INDEXES, MANIFESTS, OCI_INDEX, digest_of, platform_index
from hubtool.registries.model import (
    Blob,
    Credentials,
    Descriptor,
    Manifest,
    Registry,
    RegistryError,
    Uploaded,
    Writer,
    is_digest,
)
from hubtool.registries.session import CANCEL, PUSH, Session
from hubtool.registries.wire import USUAL, Answer, Patience

ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
PAGES = 1000  # of a list; a registry that has more is not telling the truth
LIST_LIMIT = 64 * 1024 * 1024  # bytes of all pages


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
        patience: Patience = USUAL,
    ) -> None:
        self.session = Session(reference, registry, credentials, pause=pause, patience=patience)

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
        digest = digest_of(answer.body)
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
        if digest_of(answer.body) != digest:
            raise self._lie(f"the blob {digest} has another content")
        return answer.body

    def open_blob(self, digest: str, limit: int) -> BinaryIO:
        """A blob of any size up to LIMIT bytes, to be read and closed. It is asked for again from where it stopped
        after a dropped connection; the last bytes come only once the whole has the right digest."""
        return download.open_blob(self.session, digest, limit)

    def has_blob(self, digest: str) -> bool:
        return upload.has_blob(self.session, digest)

    def mount_blob(self, digest: str, source_repository: str) -> bool:
        """Have a blob of another repository of this registry in this one, too; False where it has to be sent:
        it isn't there, it may not be read there, or the registry does not do that."""
        if source_repository == self.session.reference.repository:
            return False
        url = self.session.url("blobs/uploads/").copy_merge_params({"mount": digest, "from": source_repository})
        try:
            answer = self.session.request(
                "POST", url, actions=PUSH, headers={"Content-Length": "0"}, beside=source_repository
            )
        except RegistryError as error:
            if error.status not in (401, 403):
                raise
            return False
        if answer.status == 202:
            self.session.begun.append(self.session.location(answer))
        return answer.status == 201

    def upload_blob(self, blob: Blob, progress: upload.Progress = lambda sent: None) -> None:
        """Send a blob, from where it stopped after a dropped connection. PROGRESS is called with the
        number of bytes of it that the registry has, as far as is known."""
        upload.upload_blob(self.session, blob, progress)

    def upload_stream(
        self,
        write: Callable[[Writer], object],
        progress: upload.Progress = lambda sent: None,
        folder: Path | None = None,
        *,
        look_first: bool = False,
    ) -> Uploaded:
        """Send the bytes that WRITE writes while it writes them, in another thread, and say what they were.

        What is not larger than stream.HELD is sent only where the registry lacks it. After a break WRITE is called
        again: it has to write the same every time. With LOOK_FIRST what is larger is made once for nothing but its
        digest, and sent only where the registry lacks it, too: for a push that is taken up again. FOLDER has room for
        the whole, in case the registry wants to know its length first. Whatever WRITE raises is raised.
        """
        return stream.upload_stream(self.session, write, progress, folder, look_first=look_first)

    def upload_bytes(self, content: bytes) -> str:
        """Send a small blob, if the registry lacks it; returns its digest."""
        blob = Blob(digest_of(content), len(content), lambda: io.BytesIO(content))
        if not self.has_blob(blob.digest):
            self.upload_blob(blob)
        return blob.digest

    def put_manifest(self, content: bytes, media_type: str, ref: str) -> str:
        """Publish a manifest under a tag or its own digest; returns its digest."""
        self.send_manifest(content, media_type, ref)
        return digest_of(content)

    def send_manifest(self, content: bytes, media_type: str, ref: str) -> Answer:
        """Publish a manifest; returns what the registry answered."""
        answer = self.session.request(
            "PUT",
            self.session.url(f"manifests/{ref}"),
            actions=PUSH,
            headers={"Content-Type": media_type, "Content-Length": str(len(content))},
            content=lambda: _once(content),
        )
        if answer.status not in (200, 201, 202):
            self.session.fail(answer, PUSH)
        digest = digest_of(content)
        said = answer.headers.get("Docker-Content-Digest")
        if is_digest(said) and said != digest:
            raise self._lie(f"it took the manifest for {said}, but it is {digest}")
        return answer

    def put_index(self, images: Mapping[str, str], ref: str, annotations: Mapping[str, str] = {}) -> str:
        """Publish an index over images of this repository, by platform like linux/amd64; returns its digest,
        which is the same for the same images."""
        return self.put_manifest(self.make_index(images, annotations), OCI_INDEX, ref)

    def make_index(self, images: Mapping[str, str], annotations: Mapping[str, str] = {}) -> bytes:
        """The index that put_index would publish; raises RegistryError for an image that is not there."""
        found = {platform: self.head_manifest(digest) for platform, digest in images.items()}
        for platform, image in found.items():
            if image is None or image.media_type not in MANIFESTS:
                name = self.session.reference.name
                raise RegistryError(f"{name} has no image {images[platform]}, for the index over {platform}")
        return platform_index({platform: image for platform, image in found.items() if image}, annotations)

    def referrers(self, digest: str, artifact_type: str = "") -> list[Descriptor]:
        """What is attached to the manifest DIGEST, of one type or of all, by digest; none where nothing is."""
        return referrers.list_referrers(self, digest, artifact_type)

    def put_referrer(
        self,
        subject: Descriptor,
        artifact_type: str,
        media_type: str,
        content: bytes,
        annotations: Mapping[str, str] = {},
    ) -> Descriptor:
        """Attach CONTENT to the manifest SUBJECT; the same twice is once. Where the registry does not list what is
        attached, it is listed under a tag; of several writers at one time none is lost as far as can be seen."""
        return referrers.put_referrer(self, subject, artifact_type, media_type, content, annotations)

    def list_tags(self) -> list[str]:
        """All tags of the repository, sorted; none where there is no repository."""
        found: set[str] = set()
        url = self.session.url("tags/list").copy_merge_params({"n": "1000"})
        for answer in self.pages(url, "the list of tags"):
            if answer.status == 404:
                break
            if answer.status != 200:
                self.session.fail(answer)
            tags = self.read_json(answer.body, "the list of tags").get("tags")
            found.update(tag for tag in tags or () if isinstance(tag, str) and is_tag(tag))
        return sorted(found)

    def pages(self, url: httpx.URL, what: str, headers: Mapping[str, str] = {}) -> Iterator[Answer]:
        """The answers to URL and to those that their Link headers name, whatever their status."""
        seen: set[httpx.URL] = set()
        size = 0
        following: httpx.URL | None = url
        while following is not None:
            if following in seen or len(seen) >= PAGES or size > LIST_LIMIT:
                raise self._lie(f"{what} has no end")
            if following.netloc != url.netloc:
                raise self._lie(f"{what} goes on at another host")
            seen.add(following)
            answer = self.session.request("GET", following, headers=headers)
            size += len(answer.body)
            yield answer
            following = _next_page(answer)

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


def _media_type(answer: Answer) -> str:
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip()


def _next_page(answer: Answer) -> httpx.URL | None:
    """The address in a Link header (RFC 8288) of the kind "next"."""
    link = httpx.Response(200, headers=answer.headers).links.get("next", {}).get("url")
    try:
        return answer.url.join(link) if link else None
    except httpx.InvalidURL:
        return None
