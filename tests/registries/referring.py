"""The referrers API (OCI distribution specification v1.1, "Listing Referrers") before a registry that lacks it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from hubtool.registries.manifests import OCI_INDEX
from tests.registries.front import Front
from tests.registries.parts import digest_of

PAGE = 2  # entries


class Referrers:
    """Keeps what is attached to what, from the manifests that go through FRONT. FILTERS: whether it filters by type."""

    def __init__(self, front: Front, *, filters: bool = True) -> None:
        self.attached: dict[str, list[dict[str, Any]]] = {}
        self.filters = filters
        front.taken = self.taken
        front.instead = self.instead

    def taken(self, path: str, manifest: bytes) -> dict[str, str]:
        document = json.loads(manifest)
        subject = document.get("subject")
        if not subject:
            return {}
        entry = {"mediaType": document["mediaType"], "digest": digest_of(manifest), "size": len(manifest)}
        entry["artifactType"] = document.get("artifactType") or document["config"]["mediaType"]
        entry |= {"annotations": document["annotations"]} if "annotations" in document else {}
        known = self.attached.setdefault(subject["digest"], [])
        if entry not in known:
            known.append(entry)
        return {"OCI-Subject": subject["digest"]}

    def instead(self, method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
        parts = urlsplit(path)
        folder, _, digest = parts.path.rpartition("/")
        if method != "GET" or not folder.endswith("/referrers"):
            return None
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        entries, headers = self.attached.get(digest, []), {"Content-Type": OCI_INDEX}
        wanted = query.get("artifactType")
        if wanted and self.filters:
            entries = [entry for entry in entries if entry["artifactType"] == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        start = int(query.get("page", "0"))
        if start + PAGE < len(entries):
            following = urlencode(query | {"page": start + PAGE})
            headers["Link"] = f'<{parts.path}?{following}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries[start : start + PAGE]}
        return 200, headers, json.dumps(index).encode()
