"""The API described for machines."""

from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kineograph.serve.api.fields import FILES, Create, Edit, Move, Remix

TEMPLATE = "#/components/schemas/{model}"
ERRORS = {
    400: "A sentence that says what is wrong.",
    401: "No token, or a wrong one.",
    404: "It is not there.",
    413: "Too large.",
    415: "Neither a form nor JSON.",
    429: "Too many requests, or too many that wait.",
}


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The body of a request: that kind as JSON, or as a form with files in it."""
    schema = {"$ref": TEMPLATE.format(model=kind.__name__)}
    form = {"$ref": TEMPLATE.format(model=f"{kind.__name__}Form")}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema},
                "multipart/form-data": {"schema": form},
            },
        }
    }


def described(app: FastAPI) -> dict[str, Any]:
    """The whole description, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    models: list[tuple[type[BaseModel], Literal["validation"]]] = [
        (kind, "validation") for kind in (Create, Edit, Remix, Move)
    ]
    found = models_json_schema(models, ref_template=TEMPLATE)[1]["$defs"]
    forms = {f"{kind.__name__}Form": _form(found[kind.__name__]) for kind in (Create, Edit, Remix)}
    made.setdefault("components", {}).setdefault("schemas", {}).update({**found, **forms})
    for path in made["paths"].values():
        for method in path.values():
            method["responses"].pop("422", None)
            for status, told in ERRORS.items():
                method["responses"].setdefault(str(status), {"description": told})
    app.openapi_schema = made
    return made


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    fields = dict(schema["properties"])
    for name in FILES:
        if name in fields:
            fields[name] = {"type": "string", "format": "binary"}
    return {**schema, "title": f"{schema.get('title', '')}Form", "properties": fields}
