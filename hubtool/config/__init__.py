"""hubtool.yaml as a frozen, typed model: the only place that knows its keys."""

from hubtool.config.contract import PROFILES, ContractName, KnownIssue, Parameters
from hubtool.config.debian import Debian
from hubtool.config.deployment import Deployment
from hubtool.config.model import (
    BuilderName,
    CompressionName,
    Config,
    EnvironmentName,
    Image,
    LayerStyle,
    Site,
    TagStyle,
)
from hubtool.config.reading import FILE_NAME, SCHEMA_ID, json_schema, load, parse, place

__all__ = [
    "FILE_NAME",
    "PROFILES",
    "SCHEMA_ID",
    "BuilderName",
    "CompressionName",
    "Config",
    "ContractName",
    "Debian",
    "Deployment",
    "EnvironmentName",
    "Image",
    "KnownIssue",
    "LayerStyle",
    "Parameters",
    "Site",
    "TagStyle",
    "json_schema",
    "load",
    "parse",
    "place",
]
