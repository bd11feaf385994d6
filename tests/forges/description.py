"""GitHub's own OpenAPI description and GraphQL schema, to hold requests and answers against."""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from graphql import GraphQLSchema, build_schema
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from hubtool.process import run

PACKAGE, MEMBER = "@octokit/openapi@23.0.2", "package/generated/api.github.com.json"
GRAPHQL_PACKAGE, GRAPHQL_MEMBER = "@octokit/graphql-schema@15.26.1", "package/schema.graphql"
METHODS = ("get", "post", "put", "patch", "delete")


def fetch(cache: Path, package: str = PACKAGE, member: str = MEMBER) -> Path:
    """A description's file, got from the npm registry once."""
    file = cache / f"{package.rsplit('/', 1)[-1]}-{member.rsplit('/', 1)[-1]}"
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            packed = run("npm", "pack", package, "--silent", cwd=Path(folder), timeout=300)
            archive = Path(folder) / packed.stdout.strip().splitlines()[-1]
            with tarfile.open(archive) as tar:
                stream = tar.extractfile(member)
                assert stream is not None
                part = Path(folder) / "part"
                part.write_bytes(stream.read())
            os.replace(part, file)
    return file


class Description:
    def __init__(self, file: Path) -> None:
        self.folder = file.parent
        self.document: dict[str, Any] = json.loads(file.read_bytes())
        self.registry: Registry[Any] = Registry().with_resource(
            "urn:github", Resource.from_contents(self.document, default_specification=DRAFT4)
        )
        self.paths = [(_pattern(path), path) for path in self.document["paths"]]

    @cached_property
    def schema(self) -> GraphQLSchema:
        """GitHub's GraphQL schema, from beside the description."""
        file = fetch(self.folder, GRAPHQL_PACKAGE, GRAPHQL_MEMBER)
        return build_schema(file.read_text(encoding="utf-8"), assume_valid=True)

    def resolve(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def operation(self, method: str, path: str) -> tuple[str, Mapping[str, Any]]:
        """The path as the description writes it, and the operation; LookupError where it lacks one."""
        matches = [written for pattern, written in self.paths if pattern.fullmatch(path)]
        for written in sorted(matches, key=lambda written: written.count("{")):
            found = self.document["paths"][written].get(method.lower())
            if found:
                return written, found
        raise LookupError(f"{method} {path} is not in GitHub's description")

    def example(self, name: str) -> Any:
        """A copy of components/examples/NAME."""
        return json.loads(json.dumps(self.document["components"]["examples"][name]["value"]))

    def problems_of_request(self, method: str, path: str, query: str, body: Any) -> list[str]:
        try:
            written, operation = self.operation(method, path)
        except LookupError as error:
            return [str(error)]
        shared = self.document["paths"][written].get("parameters", [])
        parameters = [self.resolve(one) for one in [*shared, *operation.get("parameters", [])]]
        known = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
        found = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in known:
                found.append(f"{method} {path}: unknown parameter {name}")
            else:
                typed: Any = int(value) if self.resolve(known[name]).get("type") == "integer" else value
                found += self._problems(known[name], typed, f"{method} {path}?{name}")
        if written.endswith("/labels") and isinstance(body, list):
            # "You can also pass an array of labels directly", says the text there; the schema does not.
            body = {"labels": body}
        wanted = self.resolve(operation.get("requestBody", {}))
        if wanted and (body is not None or wanted.get("required")):
            found += self._problems(wanted["content"]["application/json"]["schema"], body, f"{method} {path} request")
        elif body is not None and not wanted:
            found.append(f"{method} {path}: takes no body")
        return found

    def problems_of_answer(self, method: str, path: str, status: int, body: Any) -> list[str]:
        _, operation = self.operation(method, path)
        described = self.resolve(operation["responses"].get(str(status)))
        if described is None and status in (401, 403, 404):
            # Who is not let in, or asks for what is not there, hears so everywhere; few operations say it.
            described = self.document["components"]["responses"]["not_found"]
        if described is None:
            return [f"{method} {path}: never answers {status}"]
        content = described.get("content", {}).get("application/json")
        return self._problems(content["schema"], body, f"{method} {path} {status}") if content else []

    def _problems(self, schema: Any, instance: Any, where: str) -> list[str]:
        validator = OAS30Validator(_absolute(schema), registry=self.registry)
        return [f"{where}: {error.json_path}: {error.message[:300]}" for error in validator.iter_errors(instance)]


def _absolute(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: f"urn:github{value}" if key == "$ref" and isinstance(value, str) else _absolute(value)
            for key, value in schema.items()
        }
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)))
