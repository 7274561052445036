"""Checks each example of an OpenAPI 3.1 document against the schema that it is an example of; prints how many there are.

usage: check_examples.py <openapi.json>
"""

import json
import sys

from jsonschema import Draft202012Validator, FormatChecker

document = json.load(open(sys.argv[1], encoding="utf-8"))
checked = 0


def check(schema, value, where):
    global checked
    whole = {**schema, "components": document["components"]}
    errors = list(Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value))
    assert not errors, f"{where}: {errors[0].message} in {value}"
    checked += 1


def resolved(thing):
    while "$ref" in thing:
        found = document
        for part in thing["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        thing = found
    return thing


def look(thing, where):
    """Every place with a schema and examples beside it, and every schema with examples of itself."""
    if isinstance(thing, list):
        for at, item in enumerate(thing):
            look(item, f"{where}/{at}")
    if not isinstance(thing, dict):
        return
    if "schema" in thing:
        if "example" in thing:
            check(thing["schema"], thing["example"], where)
        for name, example in thing.get("examples", {}).items():
            check(thing["schema"], resolved(example)["value"], f"{where}/{name}")
    for name, item in thing.items():
        if name not in ("example", "examples"):
            look(item, f"{where}/{name}")


def schemas(schema, where):
    for example in [schema["example"]] if "example" in schema else []:
        check(schema, example, where)
    for name, field in schema.get("properties", {}).items():
        schemas(field, f"{where}.{name}")


look(document["paths"], "paths")
look(document["components"]["headers"], "headers")
for name, schema in document["components"]["schemas"].items():
    schemas(schema, name)
print(checked)
