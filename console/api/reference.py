"""`/docs`: the OpenAPI document as a page that needs no script and no other site."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

PATH = "/docs"
router = APIRouter(include_in_schema=False)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
h3 code { background: #eef; padding: .1em .4em; border-radius: .3em }
table { border-collapse: collapse; margin: .5em 0 } td, th { text-align: left; padding: .1em 1em .1em 0; vertical-align: top }
pre { background: #f6f6f6; padding: .6em; overflow-x: auto } details { margin: .3em 0 }
"""  # noqa: E501

Json = Mapping[str, Any]


@router.get(PATH)
async def read_reference(request: Request) -> HTMLResponse:
    return HTMLResponse(page(request.app.openapi()))


def page(document: Json) -> str:
    """The whole page, everything of the document escaped."""
    title = escape(document["info"]["title"])
    parts = "".join(_operations(document))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} API</title>'
        f"<style>{_STYLE}</style><h1>{title} {escape(document['info']['version'])}</h1>"
        f"<p>{escape(document['info'].get('summary', ''))} "
        f'For programs: <a href="/openapi.json">/openapi.json</a>.</p>{parts}</html>'
    )


def _operations(document: Json) -> Iterator[str]:
    shown = ""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = next(iter(operation.get("tags", [])), "")
            if tag != shown:
                shown = tag
                yield f"<h2>{escape(tag)}</h2>"
            yield f"<h3><code>{method.upper()} {escape(path)}</code></h3>"
            yield f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
            yield _parameters(operation.get("parameters", []))
            yield _schema("Body", operation.get("requestBody", {}), document)
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    yield _schema(f"Answer {status}", answer, document)
            refusals = ", ".join(status for status in operation["responses"] if not status.startswith("2"))
            yield f"<p>Refusals: {escape(refusals)}</p>"


def _parameters(parameters: list[Json]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{'needed' if each.get('required') else ''}<td>{escape(_type(each['schema']))}"
        f"<td>{escape(each.get('description', ''))}"
        for each in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _type(schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    return str(schema.get("type", "any"))


def _schema(heading: str, holder: Json, document: Json) -> str:
    schema = next((content.get("schema") for content in holder.get("content", {}).values()), None)
    if not schema:
        return ""
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref")
    if reference is not None:
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    text = escape(json.dumps(schema, indent=2))
    return f"<details><summary>{escape(heading)}</summary><pre>{text}</pre></details>"
