from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from hubtool.reference import ImageReference
from hubtool.registries import Credentials, RegistryError, find_release, may_push, open_client, registry_for
from hubtool.registries.ecr import Place, place_of
from hubtool.sandbox.services import free_port
from tests.conftest import LocalRegistry
from tests.registries import front as fronts
from tests.registries.cloud import cloud_registry
from tests.registries.front import Front
from tests.registries.parts import put_image

ACCOUNT, REGION = "123456789012", "eu-west-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
IMAGE = ImageReference.parse(f"{HOST}/team/base:v1")
MOTO_TOKEN = f"AWS:{ACCOUNT}-auth-token"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    yield f"http://127.0.0.1:{server._port}"
    server.stop()


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """AWS's control plane, and a login to it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-access-key")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", moto)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return moto


@pytest.fixture
def ecr(
    aws: str, registry: LocalRegistry, login: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Front]:
    with cloud_registry(HOST, registry.host, login, [MOTO_TOKEN], tmp_path, monkeypatch) as front:
        yield front


def repositories(aws: str) -> list[str]:
    client = boto3.client("ecr", region_name=REGION, endpoint_url=aws)
    return [found["repositoryName"] for found in client.describe_repositories()["repositories"]]


def test_the_password_comes_from_aws_and_opens_the_registry(ecr: Front) -> None:
    with open_client(IMAGE) as client:
        digest = put_image(client, "v1", labels={"a": "b"})
    found = find_release(IMAGE)
    assert found is not None
    assert (found.reference.digest, found.labels) == (digest, {"a": "b"})
    may_push(IMAGE)
    assert ecr.requests("PUT", "/v2/team/base/manifests/v1")


def test_a_repository_is_made_when_asked_for_and_twice_is_no_error(aws: str) -> None:
    reference = ImageReference.parse(f"{HOST}/made/on-demand")
    registry_for(reference).ensure_repository(reference, create=True)
    registry_for(reference).ensure_repository(reference, create=True)
    assert repositories(aws).count("made/on-demand") == 1


def test_a_repository_that_another_run_makes_meanwhile_is_no_error(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = ImageReference.parse(f"{HOST}/made/by-another")
    registry_for(reference).ensure_repository(reference, create=True)
    missing = b'{"__type":"RepositoryNotFoundException","message":"not there yet"}'
    with fronts.front(aws.removeprefix("http://")) as front:
        front.fault("POST", "^/$", status=400, body=missing)
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://{front.host}")
        registry_for(reference).ensure_repository(reference, create=True)
    assert len(front.requests("POST")) == 2


def test_a_missing_repository_is_not_made_unasked(aws: str) -> None:
    reference = ImageReference.parse(f"{HOST}/not/there")
    with pytest.raises(RegistryError, match="has no repository not/there") as caught:
        registry_for(reference).ensure_repository(reference, create=False)
    assert "create_repository: true" in str(caught.value.hint)
    assert f"aws ecr create-repository --repository-name not/there --region {REGION}" in str(caught.value.hint)
    assert "not/there" not in repositories(aws)


def test_without_a_login_to_aws_there_are_no_credentials(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert registry_for(IMAGE).credentials(IMAGE) is None
    with pytest.raises(RegistryError, match="AWS did not give ECR repository") as caught:
        registry_for(IMAGE).ensure_repository(IMAGE, create=True)
    assert "aws sts get-caller-identity" in str(caught.value.hint)


def test_a_login_that_aws_refuses_is_said_without_its_secret(
    front: Front, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}'
    front.fault("POST", "^/$", status=400, body=body, times=10)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://{front.host}")
    with pytest.raises(RegistryError, match="AWS refused a login to ECR: ExpiredTokenException") as caught:
        registry_for(IMAGE).credentials(IMAGE)
    assert "very-secret" not in str(caught.value)
    assert "configure-aws-credentials" in str(caught.value)


def test_a_role_that_may_push_but_not_look_is_believed_to_know(
    front: Front, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.fault("POST", "^/$", status=400, body=b'{"__type":"AccessDeniedException","message":"no"}', times=10)
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://{front.host}")
    registry_for(IMAGE).ensure_repository(IMAGE, create=False)
    assert len(front.requests("POST")) == 1


def test_docker_s_login_goes_before_aws(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", "AWS")
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", "mine")
    found = registry_for(IMAGE).credentials(IMAGE)
    assert found is not None
    assert found.password == "mine"


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        (f"{HOST}/a/b", Place(ACCOUNT, REGION, "a/b")),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a", Place(ACCOUNT, "cn-north-1", "a")),
        ("public.ecr.aws/alias/a/b", Place(None, "us-east-1", "a/b")),
    ],
)
def test_the_host_says_account_and_region(reference: str, place: Place) -> None:
    assert place_of(ImageReference.parse(reference)) == place


def test_who_may_not_push_learns_which_actions_the_role_needs(ecr: Front) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"User is not authorized to perform: ecr:InitiateLayerUpload"}]}'
    ecr.fault("POST", "/blobs/uploads/", status=403, body=body, times=5)
    with pytest.raises(RegistryError, match="may not push") as caught:
        may_push(IMAGE)
    assert "ecr:InitiateLayerUpload, ecr:UploadLayerPart" in str(caught.value.hint)
