"""The JSON schema of config.json, for editors."""

from __future__ import annotations

from typing import Any

from configurations.settings import SCHEMA_KEY, Xcorecfg

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of config.json.

    It refuses what ``Xcorecfg.from_file`` refuses, as far as a schema can say it: not whether a
    time zone exists, and not keys that are there twice.
    """
    schema = Xcorecfg.model_json_schema()
    reference = {"type": "string", "description": "Address of this schema, for editors."}
    return {
        SCHEMA_KEY: DIALECT,
        **schema,
        "title": "config.json of Taskrack",
        "description": "Settings of a Taskrack container. Keys at the top that are not listed "
        "here belong to the application.",
        "properties": {SCHEMA_KEY: reference, **schema["properties"]},
    }
