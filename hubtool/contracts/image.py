"""The image under test as data: config and files, read with nothing running."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from hubtool.contracts import Settings
from hubtool.contracts.accounts import account_of, resolve_uid
from hubtool.engines import Engine, EngineImage
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.files import ImageFiles


class ImageUnderTest:
    """An image that an engine holds; its layers are exported to FOLDER when they are first read."""

    def __init__(self, engine: Engine, settings: Settings, folder: Path) -> None:
        self._engine = engine
        self._settings = settings
        self._path = folder / "image.tar"

    @cached_property
    def _inspected(self) -> EngineImage:
        found = self._engine.inspect(self._settings.image)
        if found is None:
            raise HubtoolError(
                f"the engine no longer holds {self._settings.name}", hint="build it again: hubtool build"
            )
        return found

    @property
    def config(self) -> Mapping[str, Any]:
        """The OCI config: User, Env, Entrypoint, Cmd, WorkingDir, Labels, …"""
        return self._inspected.config

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(variable.partition("=")[::2] for variable in self.config.get("Env") or ())

    @cached_property
    def _opened(self) -> Archive:
        self._engine.export(self._settings.image, self._path)
        return Archive(self._path)

    @cached_property
    def files(self) -> ImageFiles:
        """The files of its layers."""
        return ImageFiles([layer.open_tar for layer in self._opened.layers])

    @property
    def history(self) -> list[str]:
        """The commands that it was built with, oldest first."""
        steps = self._opened.config.get("history") or ()
        return [str(step.get("created_by", "")) for step in steps if isinstance(step, Mapping)]

    @cached_property
    def passwd(self) -> str:
        """Its /etc/passwd, "" where it has none."""
        return self.files.text("/etc/passwd") or ""

    @property
    def uid(self) -> int | None:
        """The uid that its config's User means; None for a name that its /etc/passwd does not hold."""
        return resolve_uid(str(self.config.get("User") or ""), self.passwd)

    @property
    def home(self) -> str:
        """The run user's home: that of the configured uid in /etc/passwd, else /home/USER."""
        account = account_of(self._settings.uid, self.passwd)
        home = account.home if account is not None else ""
        return home if home.startswith("/") and home.strip("/") else f"/home/{self._settings.user}"

    def close(self) -> None:
        """Let go of the exported layers."""
        if "files" in self.__dict__:
            self.files.close()
        if "_opened" in self.__dict__:
            self._opened.close()
