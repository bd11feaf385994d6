"""Google's registries: Artifact Registry (*-docker.pkg.dev) and gcr.io.

Who hubtool is there, after the environment and docker's configuration: the Application Default Credentials
of google-auth (cloud.google.com/docs/authentication/application-default-credentials): the file named by
$GOOGLE_APPLICATION_CREDENTIALS (a service account's key, or the external_account file of Workload Identity
Federation), gcloud's own login, or the metadata server. Their access token is the password of the user
oauth2accesstoken (cloud.google.com/artifact-registry/docs/docker/authentication). The users _json_key and
_json_key_base64, with a key file as password, are taken as they are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from hubtool.errors import HubtoolError, Where
from hubtool.reference import ImageReference
from hubtool.registries import credentials as sources
from hubtool.registries.model import Credentials, Problem
from hubtool.registries.wire import tls_context

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
TOKEN_USER = "oauth2accesstoken"
_SECONDS = 30
_RESOURCE_MANAGER = "https://cloudresourcemanager.googleapis.com/"


class GarRegistry:
    name = "gar"

    def credentials(self, reference: ImageReference) -> Credentials | None:
        return sources.find(reference) or _application_default()

    def ensure_repository(self, reference: ImageReference, create: bool) -> None:
        """Nothing to do: a repository's images need no making, and the repository itself is its owner's."""

    def hint(self, problem: Problem, reference: ImageReference) -> str:
        host, parts = reference.registry, reference.repository.split("/")
        if problem == "login":
            return (
                f"gcloud auth configure-docker {host}, or gcloud auth application-default login; "
                "in GitHub Actions google-github-actions/auth with Workload Identity Federation" + sources.half_set()
            )
        project, repository = parts[0], parts[1] if len(parts) > 1 else "REPOSITORY"
        if problem == "push":
            return (
                f"it needs the role roles/artifactregistry.writer on repository '{repository}' of project '{project}'"
            )
        location = host.removesuffix("-docker.pkg.dev")
        return (
            f"gcloud artifacts repositories create {repository} --repository-format=docker "
            f"--location={location} --project={project}"
        )


def _application_default() -> Credentials | None:
    """An access token of the Application Default Credentials; None where this machine has none."""
    import google.auth
    from google.auth import exceptions

    logging.getLogger("google.auth").setLevel(logging.ERROR)  # it warns of what is no problem here
    request = _request_type()()
    try:
        found, _ = google.auth.default(scopes=SCOPES, request=request)
        if not found.valid:
            found.refresh(request)  # type: ignore[no-untyped-call]
    except exceptions.DefaultCredentialsError as error:
        if "default credentials were not found" in str(error):
            return None
        raise _problem(error) from error
    except (exceptions.GoogleAuthError, ValueError, KeyError, TypeError, OSError) as error:
        raise _problem(error) from error
    return Credentials(TOKEN_USER, str(found.token), source="Application Default Credentials of Google Cloud")


def _problem(error: Exception) -> HubtoolError:
    """What google-auth says, without its answers' bodies, which may hold tokens."""
    words = str(error.args[0]) if error.args else type(error).__name__
    file = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return HubtoolError(
        f"Google Cloud gave no access token: {' '.join(words.split())[:300]}",
        where=Where(file) if file else None,
        hint="check $GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
    )


def _request_type() -> type[Any]:
    """google-auth's way to send a request, over httpx, so that one set of trusted certificates holds."""
    from google.auth import exceptions, transport

    class Request(transport.Request):
        def __call__(
            self,
            url: str,
            method: str = "GET",
            body: bytes | str | None = None,
            headers: Mapping[str, str] | None = None,
            timeout: float | None = None,
            **_: Any,
        ) -> Any:
            if url.startswith(_RESOURCE_MANAGER):
                return _Response(404, {}, b"{}")  # it asks for the project's id, which nothing here needs
            secure = url.startswith("https://")
            try:
                with httpx.Client(verify=tls_context(""), trust_env=secure, timeout=timeout or _SECONDS) as client:
                    answer = client.request(method, url, content=body, headers=dict(headers or {}))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise exceptions.TransportError(error) from error  # type: ignore[no-untyped-call]
            return _Response(answer.status_code, answer.headers, answer.content)

    return Request


@dataclass(frozen=True)
class _Response:
    """An answer as google.auth.transport.Response has it."""

    status: int
    headers: Mapping[str, str]
    data: bytes
