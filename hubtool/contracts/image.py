"""The image under test as data: config and files, read with nothing running."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from hubtool.contracts import Settings
from hubtool.contracts.accounts import account_of, resolve_uid
from hubtool.engines import Engine, EngineImage, get_engine
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.files import ImageFiles


class ImageUnderTest:
    """An image that an engine holds, its layers exported to FOLDER when they are first read; or one that is a file or
    folder already, which no engine is asked about."""

    def __init__(self, engine: Engine, settings: Settings, folder: Path) -> None:
        self._engine = engine
        self._settings = settings
        self._path = Path(settings.archive) if settings.archive else folder / "image.tar"
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

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
        if not self._settings.archive:
            return self._inspected.config
        found = self._opened.config.get("config")
        return found if isinstance(found, Mapping) else {}

    @property
    def architecture(self) -> str:
        """The machine that it is for, as images name them: amd64, arm64, …"""
        if not self._settings.archive:
            return self._inspected.architecture
        return str(self._opened.config.get("architecture") or "")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(variable.partition("=")[::2] for variable in self.config.get("Env") or ())

    def prefetch(self) -> None:
        """Begin to export the layers, so that they are there when they are first read."""
        if self._thread is None and not self._settings.archive:
            # A daemon thread: an interrupted run doesn't wait for it. With an engine of its own: nothing says
            # that one may be used by two threads.
            self._thread = threading.Thread(target=self._export, args=(get_engine(self._engine.name),), daemon=True)
            self._thread.start()

    def _export(self, engine: Engine) -> None:
        try:
            engine.export(self._inspected.id, self._path)
        except Exception as error:  # handed to whoever reads the layers
            self._error = error

    @cached_property
    def _opened(self) -> Archive:
        self.prefetch()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
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
    def likely_home(self) -> str:
        """What ``home`` most likely is, told without reading a layer."""
        return self.environment.get("HOME") or f"/home/{self._settings.user}"

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
