# SPDX-License-Identifier: Apache-2.0
"""Checks a value against the part of JSON Schema that docs/tools/nixlbench.schema.json uses."""

import json
import os
import re

from programs import ROOT

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "number": (int, float),
    "integer": int,
}
KNOWN = {
    "$schema", "$id", "title", "description", "$defs", "$ref", "type", "enum", "const", "required",
    "properties", "additionalProperties", "items", "minimum", "minItems", "oneOf", "allOf",
    "pattern",
}


def load():
    with open(os.path.join(ROOT, "docs/tools/nixlbench.schema.json")) as file:
        return json.load(file)


def is_type(value, name):
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name])


def problems(value, schema, root=None, where="$"):
    """What of `value` the schema forbids, one line each."""
    root = root or schema
    unknown = set(schema) - KNOWN
    assert not unknown, "this checker does not know %s" % unknown
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].split("/")[-1]]
    found = []
    if "type" in schema and not is_type(value, schema["type"]):
        return ["%s: %r is no %s" % (where, value, schema["type"])]
    if "enum" in schema and value not in schema["enum"]:
        found.append("%s: %r is none of %r" % (where, value, schema["enum"]))
    if "const" in schema and value != schema["const"]:
        found.append("%s: %r is not %r" % (where, value, schema["const"]))
    if "minimum" in schema and value < schema["minimum"]:
        found.append("%s: %r is below %r" % (where, value, schema["minimum"]))
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append("%s: %r does not look like %s" % (where, value, schema["pattern"]))
    if isinstance(value, dict):
        found += of_object(value, schema, root, where)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            found.append("%s: too few items" % where)
        for number, item in enumerate(value):
            found += problems(item, schema.get("items", {}), root, "%s[%d]" % (where, number))
    for part in schema.get("allOf", []):
        found += problems(value, part, root, where)
    if "oneOf" in schema:
        each = [problems(value, part, root, where) for part in schema["oneOf"]]
        if sum(not one for one in each) != 1:
            found.append("%s: not exactly one of the forms: %s" % (where, each))
    return found


def of_object(value, schema, root, where):
    found = ["%s: no %s" % (where, key) for key in schema.get("required", []) if key not in value]
    for key, item in value.items():
        part = schema.get("properties", {}).get(key)
        if part is not None:
            found += problems(item, part, root, "%s.%s" % (where, key))
        elif schema.get("additionalProperties") is False:
            found.append("%s: %s is not described" % (where, key))
    return found
