from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool import config
from hubtool.errors import HubtoolError

FILE = Path("hubtool.yaml")
SMALL = "registry: quay.io/team\nimages:\n  base:\n"
DEPLOYED = "registry: a.b/c\nimages: {x: {}}\ndeployment: {repository: a/b, "


def read(text: str, **environ: str) -> config.Config:
    return config.parse(text.encode(), FILE, environ)


def wrong(text: str) -> str:
    with pytest.raises(HubtoolError) as caught:
        read(text)
    return str(caught.value)


def test_an_image_needs_no_settings() -> None:
    read_config = read(SMALL)
    image = read_config.images["base"]
    assert (image.builder, image.contract, image.uid, image.repo_dir) == (
        "repo2docker",
        "jupyterhub",
        1000,
        "/srv/repo",
    )
    assert str(read_config.reference("base")) == "quay.io/team/base"


def test_the_file_of_the_design_is_read_whole() -> None:
    text = """\
registry: us-central1-docker.pkg.dev/cal-icor-hubs/user-images
images:
  base-user-image:            # a comment
    builder: repo2docker
    contract: jupyterhub
deployment:
  repository: cal-icor/cal-icor-hubs
  branch: staging
  promote: prod
  hubs: [base]
"""
    deployment = read(text).deployment
    assert deployment is not None
    assert (deployment.repository, deployment.branch, deployment.promote) == (
        "cal-icor/cal-icor-hubs",
        "staging",
        "prod",
    )
    assert deployment.hubs == ("base",)


def test_names_that_look_like_numbers_stay_what_was_written() -> None:
    text = SMALL + "deployment:\n  repository: a/b\n  hubs: [101, 3.10, 012, 1e3, 2026-01-01]\n"
    deployment = read(text).deployment
    assert deployment is not None
    assert deployment.hubs == ("101", "3.10", "012", "1e3", "2026-01-01")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "hubtool.yaml:1: expected keys and values"),
        ("- a\n", "hubtool.yaml:1: expected keys and values"),
        ("a: [\n", "not YAML"),
        ("registry: a.b/c\nregistry: a.b/d\nimages: {x: {}}", "hubtool.yaml:2: registry: stands here twice"),
        ("images: {x: {}}", "registry: missing"),
        ("registry: a.b/c", "images: missing"),
        ("registry: a.b/c\nimages: {}", "hubtool.yaml:2: images: "),
        ("registry: [a]\nimages: {x: {}}", "hubtool.yaml:1: registry: "),
        ("registry: a.b/C\nimages: {x: {}}", "bad repository 'C/x'"),
        ("registry: 'a b/c'\nimages: {x: {}}", "bad repository"),
        ("registry: a.b/c\nrepository: one\nimages: {x: {}, y: {}}", "must hold {image}"),
        ("registry: a.b/c\ntag: latest\nimages: {x: {}}", "hubtool.yaml:2: tag: Input should be 'commit' or 'date'"),
        ("registry: a.b/c\nenvironment: pip\nimages: {x: {}}", "hubtool.yaml:2: environment: "),
        ("registry: a.b/c\ncreate_repository: perhaps\nimages: {x: {}}", "hubtool.yaml:2: create_repository: "),
        ("registry: a.b/c\nimages: {X: {}}", "hubtool.yaml:2: images.X: "),
        ("registry: a.b/c\nimages: {x: {builder: kaniko}}", "images.x.builder: Input should be 'repo2docker'"),
        ("registry: a.b/c\nimages: {x: {contract: hub}}", "images.x.contract: "),
        ("registry: a.b/c\nimages: {x: {platform: windows}}", "images.x.platform: "),
        ("registry: a.b/c\nimages: {x: {user: 'a b'}}", "images.x.user: "),
        ("registry: a.b/c\nimages: {x: {uid: 0}}", "images.x.uid: "),
        ("registry: a.b/c\nimages: {x: {uid: many}}", "images.x.uid: "),
        ("registry: a.b/c\nimages: {x: {repo_dir: srv}}", "images.x.repo_dir: "),
        ("registry: a.b/c\nimages: {x: {args: {'a-b': c}}}", "images.x.args"),
        ("registry: a.b/c\nimages: {x: {labels: [a]}}", "images.x.labels: "),
        ("registry: a.b/c\nimages: {x: {start_seconds: 0}}", "images.x.start_seconds: "),
        ("registry: a.b/c\nimages: {x: {context: [a]}}", "images.x.context: "),
        ("registry: a.b/c\nimages: {x: {base: [a]}}", "images.x.base: "),
        ("registry: a.b/c\nimages: {x: {appendix: [a]}}", "images.x.appendix: "),
        ("registry: a.b/c\nimages: {x: {}}\nsite: {pip_index: ftp://x}", "hubtool.yaml:3: site.pip_index: "),
        ("registry: a.b/c\nimages: {x: {}}\nsite: {pip_index: 'https://u:secret@x/'}", "inside the image"),
        ("registry: a.b/c\nimages: {x: {}}\nsite: {conda_channel: 'https://x/$(id)'}", "site.conda_channel: "),
        ("registry: a.b/c\nimages: {x: {}}\nsite: {cran: 3}", "site.cran: "),
        ('registry: a.b/c\nimages: {x: {}}\nsite: {apt_mirror: "http://x/\' y"}', "site.apt_mirror: "),
        ("registry: a.b/c\nimages: {x: {}}\nsite: {run_time: 7}", "site.run_time: "),
        ("registry: a.b/c\nimages: {x: {}}\nsite: {ca_bundle: []}", "site.ca_bundle: "),
        ("registry: a.b/c\nimages: {x: {}}\ndeployment: {}", "deployment.repository: missing"),
        ("registry: a.b/c\nimages: {x: {}}\ndeployment: {repository: a/b, hubs: one}", "deployment.hubs: "),
        ("registry: a.b/c\nimages: {x: {}}\ndeployment: {repository: a/b, hubs: ['../x']}", "deployment.hubs[0]: "),
        ("registry: a.b/c\nimages: {x: {}}\ndeployment: {repository: a/b, forge: gitea}", "deployment.forge: "),
        ("registry: a.b/c\nimages: {x: {}}\ndeployment: {repository: a/b, api: x}", "deployment.api: "),
        (DEPLOYED + "hold: [a b]}", "deployment.hold: 'a b' is neither TAG nor IMAGE:TAG"),
        (DEPLOYED + "hold: ['a/B:c']}", "bad repository 'a/B'"),
        (DEPLOYED + "soak: long}", "deployment.soak: "),
        (DEPLOYED + "platform: arm}", "deployment.platform: "),
        (DEPLOYED + "rings: {canary: ['../x']}}", "deployment.rings.canary[0]: "),
        (DEPLOYED + "rings: {'a b': [x]}}", "deployment.rings"),
        (DEPLOYED + "charts: {x: 'a/b:c'}}", "deployment.charts: 'a/b:c': an image's name, without tag"),
        (DEPLOYED + "promote_by: hand}", "deployment.promote_by: "),
        (
            "registry: a.b/c\naxes: {platform: [linux/arm64]}\nimages: {x: {}}",
            ":2: axes: platform: its values are amd64",
        ),
        (
            "registry: a.b/c\nimages: {x: {}, y: {from: x, base: z}}",
            ":2: images.y: base and from: an image",
        ),
        ("registry: a.b/c\nimages: {x: {base: y, args: {BASE_IMAGE: z}}}", "images.x: args.BASE_IMAGE: 'base' or"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_key(text: str, expected: str) -> None:
    message = wrong(text)
    assert expected in message
    assert message.startswith("hubtool.yaml")


def test_an_image_stands_on_its_own_base_or_parent_whatever_the_defaults_say() -> None:
    config = read("registry: quay.io/t\ndefaults: {base: x}\nimages:\n  a: {}\n  b: {from: a}\n  c: {base: y}\n")
    assert [(image.base, image.parent) for image in config.images.values()] == [("x", None), (None, "a"), ("y", None)]


def test_an_unknown_key_gets_the_nearest_known_one() -> None:
    message = wrong("registry: a.b/c\nimages:\n  x:\n    contrat: jupyterhub\n")
    assert message.startswith("hubtool.yaml:4: images.x.contrat: unknown key; did you mean 'contract'?")
    assert "known here: appendix" in message


def test_a_password_in_a_mirror_url_is_not_repeated_in_the_error() -> None:
    assert "secret" not in wrong("registry: a.b/c\nimages: {x: {}}\nsite: {pip_index: 'https://u:secret@x/'}")


def test_an_alias_bomb_ends_early() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]\n" for n in range(1, 12))
    assert "expands without end" in wrong(bomb)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x00" * 100, b"a" * 2_000_000, b"[" * 9000, b"a: !!python/none x"])
def test_bytes_that_are_no_hubtool_yaml_are_one_clear_error(data: bytes) -> None:
    with pytest.raises(HubtoolError, match=r"hubtool\.yaml"):
        config.parse(data, FILE)


@given(st.binary(max_size=300))
def test_no_bytes_crash_it(data: bytes) -> None:
    with pytest.raises(HubtoolError, match=r"^hubtool\.yaml"):
        config.parse(data, FILE)  # 300 random bytes are never a whole hubtool.yaml


def test_the_environment_overrides_registry_deployment_and_certificates() -> None:
    read_config = read(SMALL, HUBTOOL_REGISTRY="ghcr.io/x", HUBTOOL_DEPLOYMENT="a/b", HUBTOOL_CA_BUNDLE="/ca.pem")
    assert str(read_config.reference("base")) == "ghcr.io/x/base"
    assert read_config.deployment is not None
    assert read_config.deployment.repository == "a/b"
    assert read_config.site.ca_bundle == "/ca.pem"


def test_the_environment_overrides_the_repository_and_arguments_that_are_there() -> None:
    text = """\
registry: ghcr.io/x
defaults: {args: {LEVEL: "1"}}
images:
  one: {args: {TOOL: "1.0", OTHER: "2"}}
  two:
"""
    read_config = read(
        text, HUBTOOL_REPOSITORY="team-{image}", HUBTOOL_ARG_TOOL="1.1", HUBTOOL_ARG_LEVEL="9", TOOL="no"
    )
    assert str(read_config.reference("two")) == "ghcr.io/x/team-two"
    assert read_config.images["one"].args == {"TOOL": "1.1", "OTHER": "2"}
    assert read_config.images["two"].args == {"LEVEL": "9"}
    odd = "registry: ghcr.io/x\nimages: {one: {args: [a]}}\n"
    with pytest.raises(HubtoolError, match="args"):
        read(odd, HUBTOOL_ARG_TOOL="1.1")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="hubtool new"):
        config.load(tmp_path)


def test_the_json_schema_in_the_docs_is_that_of_the_model() -> None:
    written = json.loads((Path(__file__).parent.parent / "docs" / "hubtool.schema.json").read_text())
    assert written == config.json_schema(), "write it anew: script/docs"


def test_every_key_is_described() -> None:
    def undescribed(schema: dict[str, object]) -> list[str]:
        properties = schema.get("properties", {})
        assert isinstance(properties, dict)
        return [name for name, field in properties.items() if not field.get("description")]

    schema = config.json_schema()
    assert {name: undescribed(part) for name, part in schema["$defs"].items()} == {name: [] for name in schema["$defs"]}
    assert undescribed(schema) == []


@pytest.mark.parametrize(
    ("written", "cache"),
    [
        ("true", True),
        ("no", False),
        ("False", False),
        ("quay.io/team/cache", "quay.io/team/cache"),
        ("127.0.0.1:5000/a:b", "127.0.0.1:5000/a:b"),
    ],
)
def test_a_build_cache_is_on_off_or_at_a_place(written: str, cache: object) -> None:
    assert read(f"{SMALL}cache: {written}\n").cache == cache


@pytest.mark.parametrize("written", ["maybe", "[a]", "12", "{}", "''", "a b", "quay.io/a@sha256:" + "0" * 64, "null"])
def test_what_is_no_place_for_a_build_cache_is_an_error(written: str) -> None:
    assert "hubtool.yaml:4: cache: " in wrong(f"{SMALL}cache: {written}\n")


@pytest.mark.parametrize(
    ("file", "image", "hours"),
    [
        (None, None, None),
        ("7d", None, 168),
        ("2w", None, 336),
        ("2w", "12h", 12),
        ("7d", "never", None),
        ("never", "1d", 24),
    ],
)
def test_freshness_is_the_image_s_own_else_the_file_s(file: str | None, image: str | None, hours: int | None) -> None:
    text = f"registry: quay.io/team\nimages:\n  base: {{{f'freshness: {image}' if image else ''}}}\n"
    found = read(text + (f"freshness: {file}\n" if file else "")).freshness_of("base")
    assert found == (datetime.timedelta(hours=hours) if hours else None)


@pytest.mark.parametrize("written", ["7", "0d", "7 days", "-1d", "1.5d", "99999d", "[7d]", "d"])
def test_what_is_no_age_is_an_error_that_says_what_is(written: str) -> None:
    said = wrong(f"{SMALL}freshness: {written}\n")
    assert "hubtool.yaml:4: freshness: " in said
    assert "12h, 7d, 2w" in said
