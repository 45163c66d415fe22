"""Checks JSON against the published OpenAI specification ($STRATA_OPENAPI)."""

import functools
import os

import jsonschema
import referencing
import yaml

_URI = "urn:openai"


def _nullable(node):
    """OpenAPI 3.0's `nullable: true`, which JSON Schema does not know, as an alternative."""
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _nullable(value) for key, value in node.items()}
    return {"anyOf": [node, {"type": "null"}]} if node.pop("nullable", False) is True else node


@functools.cache
def _registry():
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with open(os.environ["STRATA_OPENAPI"], encoding="utf-8") as file:
        schemas = yaml.load(file, Loader=loader)["components"]["schemas"]
    _allow_what_openai_itself_sends(schemas)
    document = _nullable({"components": {"schemas": schemas}})
    resource = referencing.Resource.from_contents(document, referencing.jsonschema.DRAFT202012)
    return referencing.Registry().with_resource(_URI, resource)


def _allow_what_openai_itself_sends(schemas):
    """The document has one schema for whole and streamed completions; a stream's chunks have null where a value is still
    to come, and the first token of an echoed prompt has no probability."""
    completion = schemas["CreateCompletionResponse"]["properties"]
    choice = completion["choices"]["items"]["properties"]
    choice["finish_reason"] = {"anyOf": [choice["finish_reason"], {"type": "null"}]}
    completion["usage"] = {"anyOf": [completion["usage"], {"type": "null"}]}
    logprobs = choice["logprobs"]["anyOf"][0]["properties"]
    for name in ("token_logprobs", "top_logprobs"):
        logprobs[name]["items"] = {"anyOf": [logprobs[name]["items"], {"type": "null"}]}


def has_schema():
    return os.path.exists(os.environ.get("STRATA_OPENAPI", ""))


def check(name, value):
    """Raises jsonschema.ValidationError when `value` does not fit the schema `name`."""
    schema = {"$ref": f"{_URI}#/components/schemas/{name}"}
    jsonschema.Draft202012Validator(schema, registry=_registry()).validate(value)
