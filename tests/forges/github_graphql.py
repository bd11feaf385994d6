"""The one GraphQL mutation of the stand-in for GitHub, held against GitHub's own schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLError, GraphQLSchema, parse, validate
from graphql.execution import execute_sync

Update = Callable[[str, Mapping[str, Any]], str | None]


def problems_of_query(schema: GraphQLSchema, query: str) -> list[str]:
    return [f"GraphQL: {one.message}" for one in validate(schema, parse(query))]


def answer(schema: GraphQLSchema, query: str, variables: Mapping[str, Any], update: Update, may_write: bool) -> Any:
    """What GitHub would say; UPDATE moves one reference of the repository with an id, and says what was wrong."""

    def update_refs(info: object, input: Mapping[str, Any]) -> Any:
        if not may_write:
            raise _Refused("FORBIDDEN", "Resource not accessible by integration")
        for one in input["refUpdates"]:
            wrong = update(input["repositoryId"], one)
            if wrong:
                raise _Refused("UNPROCESSABLE", wrong)
        return {"clientMutationId": input.get("clientMutationId")}

    done = execute_sync(schema, parse(query), {"updateRefs": update_refs}, variable_values=dict(variables))
    if not done.errors:
        return {"data": done.data}
    return {"data": done.data, "errors": [_formatted(one) for one in done.errors]}


def unknown() -> Any:
    """What a server says that does not have the mutation yet."""
    code = {"code": "undefinedField", "typeName": "Mutation", "fieldName": "updateRefs"}
    message = "Field 'updateRefs' doesn't exist on type 'Mutation'"
    kind = {"code": "variableRequiresValidType", "typeName": "UpdateRefsInput", "variableName": "input"}
    wrong = "UpdateRefsInput isn't a defined input type (on $input)"
    return {"errors": [{"message": wrong, "extensions": kind}, {"message": message, "extensions": code}]}


class _Refused(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _formatted(problem: GraphQLError) -> Any:
    kind = {"type": problem.original_error.kind} if isinstance(problem.original_error, _Refused) else {}
    return {**problem.formatted, **kind}
