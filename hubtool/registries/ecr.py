"""Amazon's registries: private ECR (ACCOUNT.dkr.ecr.REGION.amazonaws.com) and public.ecr.aws.

Who hubtool is there, after the environment and docker's configuration: whatever boto3 finds (environment,
profile, OIDC role, instance role), traded for a password with ecr:GetAuthorizationToken, good for 12 hours
(docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html). ECR does not make a repository on the
first push; hubtool makes it where hubtool.yaml says ``create_repository: true``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hubtool.reference import ImageReference
from hubtool.registries import credentials as sources
from hubtool.registries.model import Credentials, Problem, RegistryError

PUBLIC = "public.ecr.aws"
_PRIVATE = re.compile(r"([0-9]{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\Z")
_LOGIN = (
    "check the AWS credentials: aws sts get-caller-identity; in GitHub Actions aws-actions/configure-aws-credentials"
)


@dataclass(frozen=True)
class Place:
    """Where an ECR repository is: ``account`` is None for public.ecr.aws."""

    account: str | None
    region: str
    repository: str

    @property
    def service(self) -> str:
        return "ecr" if self.account else "ecr-public"


def place_of(reference: ImageReference) -> Place:
    """Account, region and repository that an ECR reference names."""
    private = _PRIVATE.match(reference.registry)
    if private:
        return Place(private[1], private[2], reference.repository)
    # public.ecr.aws/ALIAS/REPOSITORY; its API is in us-east-1 only
    return Place(None, "us-east-1", reference.repository.partition("/")[2] or reference.repository)


class EcrRegistry:
    name = "ecr"

    def credentials(self, reference: ImageReference) -> Credentials | None:
        return sources.find(reference) or _authorization(place_of(reference))

    def ensure_repository(self, reference: ImageReference, create: bool) -> None:
        place = place_of(reference)
        with _explained(f"ECR repository {place.repository}"):
            client = _client(place)
            if _exists(client, place):
                return
            if not create:
                raise RegistryError(
                    f"{reference.registry} has no repository {place.repository}",
                    status=404,
                    hint=self.hint("missing", reference),
                )
            _create(client, place)

    def hint(self, problem: Problem, reference: ImageReference) -> str:
        place = place_of(reference)
        if problem == "login":
            return _LOGIN + sources.half_set()
        if problem == "push":
            return (
                f"the role needs ecr:GetAuthorizationToken, and on repository {place.repository} "
                "ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, "
                "ecr:CompleteLayerUpload, ecr:PutImage, ecr:BatchGetImage; a login older than 12 hours must be renewed"
            )
        return (
            "set 'create_repository: true' in hubtool.yaml, or: "
            f"aws {place.service} create-repository --repository-name {place.repository} --region {place.region}"
        )


def _client(place: Place) -> Any:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    settings = Config(connect_timeout=15, read_timeout=60, retries={"mode": "standard", "max_attempts": 4})
    return boto3.session.Session().client(place.service, region_name=place.region, config=settings)


def _authorization(place: Place) -> Credentials | None:
    from botocore.exceptions import NoCredentialsError  # type: ignore[import-untyped]

    with _explained("a login to ECR"):
        try:
            answer = _client(place).get_authorization_token()
        except NoCredentialsError:
            return None
        data = answer["authorizationData"]
        entry = data[0] if isinstance(data, list) else data
        user, _, password = base64.b64decode(entry["authorizationToken"]).decode().partition(":")
    return Credentials(user, password, source="AWS credentials")


def _exists(client: Any, place: Place) -> bool:
    """Whether the repository is there; a role that may push but not ask is believed to know."""
    from botocore.exceptions import ClientError

    account = {"registryId": place.account} if place.account else {}
    try:
        client.describe_repositories(repositoryNames=[place.repository], **account)
    except ClientError as error:
        if _code(error) == "RepositoryNotFoundException":
            return False
        if "AccessDenied" not in _code(error):
            raise
    return True


def _create(client: Any, place: Place) -> None:
    from botocore.exceptions import ClientError

    account = {"registryId": place.account} if place.account else {}
    try:
        client.create_repository(repositoryName=place.repository, **account)
    except ClientError as error:
        if _code(error) != "RepositoryAlreadyExistsException":
            raise


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn what boto3 raises into RegistryError; its messages name no secrets."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        message = str(error.response.get("Error", {}).get("Message", ""))[:300]
        raise RegistryError(f"AWS refused {what}: {_code(error)}: {message}", hint=_LOGIN) from error
    except BotoCoreError as error:
        raise RegistryError(f"AWS did not give {what}: {error}", hint=_LOGIN) from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RegistryError(f"AWS sent an answer about {what} that can't be read") from error
