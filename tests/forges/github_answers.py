"""What the stand-in for GitHub answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def error(status: int, message: str, details: list[dict[str, str]] | None = None) -> Answer:
    body: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
    return Answer(status, body if details is None else {**body, "errors": details})


def invalid(message: str) -> Answer:
    return error(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}])


def page(items: Sequence[Any], query: Mapping[str, str], url: str) -> Answer:
    """The page of ITEMS that QUERY asks for, with the address of the next."""
    size, number = int(query.get("per_page", 30)), int(query.get("page", 1))
    rest = {key: value for key, value in query.items() if key != "page"}
    words = "&".join(f"{key}={value}" for key, value in {**rest, "page": str(number + 1)}.items())
    more = {"Link": f'<{url}?{words}>; rel="next"'} if len(items) > number * size else {}
    return Answer(200, list(items[(number - 1) * size : number * size]), more)
