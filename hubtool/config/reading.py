"""hubtool.yaml read: its text to the model, with file, line and key for what is wrong with it."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hubtool.config.model import Config
from hubtool.errors import HubtoolError, Where
from hubtool.plain_yaml import Location, dotted, read_yaml

FILE_NAME = "hubtool.yaml"
SCHEMA_ID = "https://raw.githubusercontent.com/hubtool/hubtool/main/docs/hubtool.schema.json"


def load(root: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read ROOT/hubtool.yaml, with the overrides that ENVIRON (default: the process's) holds.

    Raises HubtoolError with file, line and key for anything that is wrong with it.
    """
    file = root / FILE_NAME
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise HubtoolError(
            f"no {FILE_NAME} in {root}",
            hint="run hubtool in an image repository, or make one: hubtool new DIR",
        ) from error
    except OSError as error:
        raise HubtoolError(f"cannot be read: {error.strerror}", where=Where(file)) from error
    return parse(data, file, os.environ if environ is None else environ)


def parse(data: bytes, file: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read the bytes of a hubtool.yaml; FILE names it in errors."""
    document, lines = read_yaml(data, file)
    if not isinstance(document, dict):
        raise HubtoolError("expected keys and values at the top, like 'registry: …'", where=Where(file, 1))
    _override(document, environ or {})
    try:
        return Config.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise _explain(error, file, lines, document) from error
    except RecursionError as error:
        raise HubtoolError("nested too deep", where=Where(file)) from error


def place(file: Path, *location: str | int) -> Where:
    """Where LOCATION, or the nearest above it, stands in the hubtool.yaml FILE; it is read again for that."""
    try:
        _, lines = read_yaml(file.read_bytes(), file)
    except (OSError, HubtoolError):
        lines = {}
    return _where(file, lines, location)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of hubtool.yaml (draft 2020-12)."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    if environ.get("HUBTOOL_REGISTRY"):
        document["registry"] = environ["HUBTOOL_REGISTRY"]
    if environ.get("HUBTOOL_REPOSITORY"):
        document["repository"] = environ["HUBTOOL_REPOSITORY"]
    _override_arguments(document, environ)
    if environ.get("HUBTOOL_DEPLOYMENT"):
        deployment = document.get("deployment")
        document["deployment"] = {
            **(deployment if isinstance(deployment, dict) else {}),
            "repository": environ["HUBTOOL_DEPLOYMENT"],
        }
    if environ.get("HUBTOOL_CA_BUNDLE"):
        site = document.get("site")
        document["site"] = {
            **(site if isinstance(site, dict) else {}),
            "ca_bundle": environ["HUBTOOL_CA_BUNDLE"],
        }


def _override_arguments(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    images = document.get("images")
    for image in [document.get("defaults"), *(images.values() if isinstance(images, dict) else ())]:
        args = image.get("args") if isinstance(image, dict) else None
        if isinstance(args, dict):
            args.update({name: environ[key] for name in args if environ.get(key := f"HUBTOOL_ARG_{name}")})


def _explain(error: ValidationError, file: Path, lines: dict[Location, int], document: dict[str, Any]) -> HubtoolError:
    """The first thing wrong, in our words; the others by their keys."""
    details = error.errors(include_url=False)
    first = min(details, key=lambda detail: lines.get(tuple(detail["loc"]), 0))
    location = _written(first["loc"], document, missing=first["type"] == "missing")
    message, hint = str(first["msg"]).removeprefix("Value error, "), None
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, 1)
        message = "unknown key" + (f"; did you mean '{near[0]}'?" if near else "")
        hint = "known here: " + ", ".join(known)
    elif first["type"] == "missing":
        message = "missing"
        hint = f"add '{location[-1]}: …'"
    elif first["type"] != "value_error":
        message = f"{message}, got {_shown(first.get('input'))}"
        hint = _at(location)[1]
    places = [_written(detail["loc"], document, missing=detail["type"] == "missing") for detail in details]
    others = sorted({dotted(each) for each in places} - {dotted(location), ""})
    if others:
        hint = "\n  ".join(filter(None, [hint, "also wrong: " + ", ".join(others[:8])]))
    return HubtoolError(message, where=_where(file, lines, location), hint=hint)


def _where(file: Path, lines: Mapping[Location, int], location: Location) -> Where:
    line = next((lines[location[:n]] for n in range(len(location), -1, -1) if location[:n] in lines), None)
    return Where(file, line, dotted(location) or None)


def _written(location: Location, document: Any, *, missing: bool = False) -> Location:
    """LOCATION without the parts that pydantic adds, which stand nowhere in DOCUMENT; a MISSING key is its last."""
    found: list[str | int] = []
    for part in location[:-1] if missing else location:
        inside: Any = dict(enumerate(document)) if isinstance(document, list) else document
        if isinstance(inside, dict) and part in inside:
            found.append(part)
            document = inside[part]
    return (*found, location[-1]) if missing else tuple(found)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _at(location: Location) -> tuple[Any, str | None]:
    """The type that stands at LOCATION, and the description of its key."""
    kind: Any = Config
    description = None
    for part in location:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = _fields(kind).get(str(part))
            kind, description = (field.annotation, field.description) if field else (None, None)
        else:
            kind = (get_args(kind) or (None,))[-1 if get_origin(kind) is not tuple else 0]
    return _bare(kind), description


def _bare(kind: Any) -> Any:
    """KIND without ``Annotated`` and ``| None``."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = next(arg for arg in get_args(kind) if arg is not NoneType)
    return kind


def _known_keys(location: Location) -> list[str]:
    """The keys that may stand below LOCATION."""
    kind, _ = _at(location)
    return sorted(_fields(kind)) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of MODEL by the keys that stand for them in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}
