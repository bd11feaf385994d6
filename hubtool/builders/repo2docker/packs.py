"""repo2docker's build packs, made to hand their Dockerfile and context over instead of building themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repo2docker.buildpacks import BuildPack, CondaBuildPack, DockerBuildPack, LegacyBinderDockerBuildPack, RBuildPack
from repo2docker.buildpacks import base as base_pack
from repo2docker.buildpacks import conda as conda_pack

from hubtool.builders.context import IGNORE_FILES, Context, read_ignore_files
from hubtool.builders.dockerfile.context import context_of, site_files
from hubtool.builders.recipe import Recipe
from hubtool.builders.repo2docker import conda_site
from hubtool.builders.site import CONTEXT_FOLDER, SiteFiles

SCRIPTS = "build_script_files"


@dataclass(frozen=True)
class Setting:
    """What a build pack is told besides the repository: the site, and a folder for files that it makes."""

    site: SiteFiles
    scratch: Path


class Recorder:
    """Stands where repo2docker expects a container engine, and keeps what it is asked to build."""

    string_output = True

    def __init__(self) -> None:
        self.recipe: Recipe | None = None

    def inspect_image(self, image: str) -> None:
        """There is never an image: whether to build at all is not repo2docker's to decide."""


# For the type checker a mix-in is a build pack; Python puts it in front of one, in ``adapt``.
_Pack: Any = BuildPack if TYPE_CHECKING else object


class HandsOver(_Pack):  # type: ignore[misc]
    """A build pack whose ``build`` records; ``setting`` is set by ``adapt``."""

    setting: Setting

    def render(self, build_args: Mapping[str, str] | None = None) -> str:
        return self.setting.site.apply(super().render(build_args))

    def build(
        self,
        client: Recorder,
        image_spec: str,
        memory_limit: int,
        build_args: Mapping[str, str],
        cache_from: list[str],
        extra_build_kwargs: Mapping[str, Any],
        platform: str | None = None,
    ) -> Iterator[str]:
        text = self.render(build_args)
        context = self.context(text)
        for name, data in self.site_files().items():
            context.add(name, data, 0o644)
        client.recipe = Recipe(text, context, dict(build_args), self.outer_labels())
        return iter(())

    def context(self, dockerfile: str) -> Context:
        """repo2docker's own layout: Dockerfile, scripts, entrypoint, and the repository below src/."""
        context = Context()
        context.add("Dockerfile", dockerfile.encode(), 0o644)
        for source in sorted(self.get_build_script_files()):
            name, path = self.generate_build_context_filename(source)
            context.add(name, Path(path))
        for name in ("repo2docker-entrypoint", "python3-login"):
            context.add(name, Path(base_pack.HERE) / name)
        context.add_repository(Path.cwd(), "src/", self.ignored())
        if not any(entry.name.startswith("src/") for entry in context.entries):
            context.add("src/", self._folder("empty"))
        return context

    def ignored(self) -> list[str]:
        return read_ignore_files(Path(self.binder_path(name)) for name in IGNORE_FILES)

    def site_files(self) -> dict[str, bytes]:
        """Further files of the context, by name: each line of a Dockerfile copies what only it depends on."""
        files = self.setting.site.files() if self.setting.site else {}
        return {f"{CONTEXT_FOLDER}/{name}": data for name, data in files.items()}

    def outer_labels(self) -> Mapping[str, str]:
        """Labels that the Dockerfile itself does not set."""
        return {}

    def generate_build_context_filename(self, src_path: str, hash_length: int = 6) -> tuple[str, str]:
        """As repo2docker names them, but for files that are not its own: their folder must not tell in the name."""
        if Path(src_path).is_absolute():
            return f"{SCRIPTS}/hubtool-{Path(src_path).name.lower()}", src_path
        name, path = super().generate_build_context_filename(src_path, hash_length)
        return str(name), str(path)

    def _folder(self, name: str) -> Path:
        folder = self.setting.scratch / name
        folder.mkdir(exist_ok=True)
        return folder


class HandsOverDockerfile(HandsOver):
    """The repository's own Dockerfile: its context is the repository itself."""

    def context(self, dockerfile: str) -> Context:
        return context_of(Path.cwd(), str(self.binder_path(self.dockerfile)), for_site=bool(self.setting.site))

    def site_files(self) -> dict[str, bytes]:
        return site_files(self.setting.site, self.render())

    def outer_labels(self) -> Mapping[str, str]:
        return {key: str(value) for key, value in self.get_labels().items()}


class CondaFromMirror(_Pack):  # type: ignore[misc]
    """Everything of conda from ``site.conda_channel``."""

    setting: Setting

    @property
    def _channel(self) -> str:
        return self.setting.site.site.conda_channel or ""

    @property
    def _keep(self) -> bool:
        return self.setting.site.site.run_time

    def get_build_script_files(self) -> dict[str, str]:
        files: dict[str, str] = super().get_build_script_files()
        return {self._from_mirror(source): target for source, target in files.items()}

    def _from_mirror(self, source: str) -> str:
        path = Path(source) if Path(source).is_absolute() else Path(base_pack.HERE) / source
        if path.parent != Path(conda_pack.HERE):
            return source
        text = path.read_text()
        if path.name == "install-base-env.bash":
            text = conda_site.install_script(text, self._channel, keep=self._keep)[0]
        elif path.suffix == ".lock":
            text = conda_site.lock_file(text, self._channel)
        conda_site.check_script(text, path.name)
        made = self.setting.scratch / path.name
        made.write_text(text)
        shutil.copymode(path, made)
        return str(made)

    def get_env_scripts(self) -> list[tuple[str, str]]:
        path = self.environment_yaml_path or ""
        return [
            (user, conda_site.env_script(script, path, keep=self._keep) if "MAMBA_EXE" in script else script)
            for user, script in super().get_env_scripts()
        ]

    def render(self, build_args: Mapping[str, str] | None = None) -> str:
        uid = str((build_args or {}).get("NB_UID", base_pack.DEFAULT_NB_UID))
        return conda_site.copy_environment(super().render(build_args), uid)

    def site_files(self) -> dict[str, bytes]:
        files: dict[str, bytes] = super().site_files()
        script = Path(conda_pack.HERE) / "install-base-env.bash"
        _, after, before = conda_site.install_script(script.read_text(), self._channel, keep=self._keep)
        files[f"{CONTEXT_FOLDER}/condarc"] = after.encode()
        files[f"{CONTEXT_FOLDER}/condarc.public"] = before.encode()
        files[f"{CONTEXT_FOLDER}/forget.sh"] = conda_site.forget_script(self._channel).encode()
        if self.environment_yaml_path:
            path = Path(self.environment_yaml_path)
            made = conda_site.environment(path.read_bytes(), self._channel, path)
            files[conda_site.ENVIRONMENT_IN_CONTEXT] = made
        return files


class RFromMirror(_Pack):  # type: ignore[misc]
    """R packages from ``site.cran``, without asking Posit's service for a snapshot."""

    setting: Setting

    def get_rspm_snapshot_url(self, snapshot_date: Any, max_days_prior: int = 7) -> str:
        return self.setting.site.site.cran or ""

    def get_devtools_snapshot_url(self) -> str:
        return self.setting.site.site.cran or ""


def adapt(pack: Any, setting: Setting) -> Any:
    """PACK with hubtool's ways, under its own name, since repo2docker says which pack it uses."""
    if pack is LegacyBinderDockerBuildPack:
        return pack
    mixins: list[type] = []
    if issubclass(pack, CondaBuildPack) and setting.site.site.conda_channel:
        mixins.append(CondaFromMirror)
    if issubclass(pack, RBuildPack) and setting.site.site.cran:
        mixins.append(RFromMirror)
    mixins.append(HandsOverDockerfile if issubclass(pack, DockerBuildPack) else HandsOver)
    return type(pack.__name__, (*mixins, pack), {"setting": setting})
