"""hubtool.yaml as a frozen, typed model: the only place that knows its keys."""

from hubtool.config.deployment import Deployment
from hubtool.config.model import (
    BuilderName,
    CompressionName,
    Config,
    ContractName,
    EnvironmentName,
    Image,
    LayerStyle,
    Site,
    TagStyle,
)
from hubtool.config.reading import FILE_NAME, SCHEMA_ID, json_schema, load, parse

__all__ = [
    "FILE_NAME",
    "SCHEMA_ID",
    "BuilderName",
    "CompressionName",
    "Config",
    "ContractName",
    "Deployment",
    "EnvironmentName",
    "Image",
    "LayerStyle",
    "Site",
    "TagStyle",
    "json_schema",
    "load",
    "parse",
]
