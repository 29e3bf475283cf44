"""The OpenAPI document, printed from the declarations: one schema of arguments an operation."""
from __future__ import annotations

from typing import Any

from qrm_tui import __version__
from qrm_tui.core.operations.arguments import TYPES, Argument
from qrm_tui.core.operations.declarations import Operation
from qrm_tui.core.operations.registry import OPERATIONS

_SECRET = {"format": "password", "writeOnly": True}


def _argument(argument: Argument) -> dict[str, Any]:
    if argument.type == "setting":
        schema: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
    elif argument.type == "flag":
        schema = {"type": "boolean"}
    else:
        schema = {"type": "string", **({"enum": list(argument.choices)} if argument.choices else {})}
        if argument.many:
            schema = {"type": "array", "items": schema}
    if argument.secret:
        schema |= _SECRET
    hint = TYPES[argument.type].hint
    return {**schema, "description": f"{argument.help} ({hint})",
            **({"default": argument.default} if argument.default is not None else {})}


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "type": "object", "title": operation.name,
        "description": f"{operation.summary}; role {operation.role.name}; sort {operation.sort}"
                       f"{'; destructive' if operation.destructive else ''}; as in: {operation.example}",
        "properties": {argument.name: _argument(argument) for argument in operation.arguments},
        "required": [argument.name for argument in operation.arguments if argument.required],
        "additionalProperties": False,
    }


def _get(summary: str, *parameters: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "parameters": [
        {"name": name.strip("{}"), "in": "path" if name.startswith("{") else "query", "schema": {"type": "string"},
         "required": name.startswith("{")} for name in parameters],
        "responses": {"200": {"description": "JSON"}, "default": {"$ref": "#/components/responses/Trouble"}}}}


def _post(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"post": {"summary": summary, "requestBody": {"content": {"application/json": {"schema": schema}}},
                     "responses": {"200": {"description": "JSON"},
                                   "default": {"$ref": "#/components/responses/Trouble"}}}}


#: Names of anything.
_NAMES = {"type": "array", "items": {"type": "string"}}


def _secrets(*names: str) -> dict[str, Any]:
    """Texts that are told, and never told back; a name among them is none."""
    return {"type": "object", "required": list(names), "properties": {
        name: {"type": "string", **({} if name == "name" else _SECRET)} for name in names}}


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    one_of = [{"type": "object", "required": ["operation", "arguments"], "properties": {
        "operation": {"const": name}, "arguments": {"$ref": f"#/components/schemas/{name}"},
        "reason": {"type": "string"}, "look": {"type": "boolean", "default": True}}}
        for name, operation in OPERATIONS.items() if operation.sort != "session"]
    session = {"session": {"type": "string"}, "stroke": {"type": "string"}}
    typed = {"type": "object", "required": ["session"], "properties": {**session, "data": {
        "type": "string", "contentEncoding": "base64"}}}
    size = {"type": "object", "required": ["session", "columns", "rows"], "properties": {
        **session, "columns": {"type": "integer"}, "rows": {"type": "integer"}}}
    asks = {"type": "object", "required": ["session"], "properties": session}
    breaks = {"type": "object", "required": ["session"], "properties": {
        **session, "letter": {"type": "string", "pattern": "^[a-z0-9]$"}}}
    run = {"type": "object", "required": ["plan"],
           "properties": {"plan": {"type": "string"}, "reason": {"type": "string"}}}
    draft = {"type": "object", "properties": {
        "chosen": _NAMES, "declined": _NAMES, "typed": {"type": "object", "additionalProperties": {
            "type": "object", "additionalProperties": {"type": "string"}}}}}
    return {
        "openapi": "3.1.0", "info": {"title": "qrmd", "version": __version__},
        "paths": {
            "/v1/hello": _get("who you are here, and the server"),
            "/v1/login": _post("a session: its token goes into Authorization: Bearer", _secrets("name", "password")),
            "/v1/logout": _post("end the session", {"type": "object"}),
            "/v1/unlock": _post("prove that it is still the same user", _secrets("password")),
            "/v1/password": _post("a password of one's own", _secrets("old", "new")),
            "/v1/farm": _get("the farm at a glance"),
            "/v1/list/{kind}": _get("rows of a kind", "{kind}", "filter", "sort", "limit", "offset"),
            "/v1/show/{kind}/{name}": _get("one row, with its why", "{kind}", "{name}"),
            "/v1/watch": _get("a snapshot, then changes, as JSON lines", "kinds", "since"),
            "/v1/plan": _post("plan an operation; nothing is changed", {"oneOf": one_of}),
            "/v1/run": _post("run a plan", run),
            "/v1/job/{number}/plan": _get("a job's plan and how far it is", "{number}"),
            "/v1/job/{number}/log": _get("what its steps printed, as JSON lines", "{number}", "follow", "from"),
            "/v1/consoles": _get("machines' consoles"),
            "/v1/consoles/{name}/stream": _get("a console as frames: how it stands, what it said and says, gaps",
                                               "{name}", "from", "lines", "since", "follow", "opens"),
            "/v1/consoles/{name}/input": _post("type; the first who does has the right to", typed),
            "/v1/consoles/{name}/take": _post("take the right to type", asks),
            "/v1/consoles/{name}/break": _post("a break on the line; with a letter: SysRq", breaks),
            "/v1/consoles/{name}/size": _post("how large the terminal is", size),
            "/v1/install/answers": _get("a complete answers file for this server", "interface"),
            "/v1/install/checks": _get("what checks of the server find before it is set up", "interface"),
            "/v1/install/packages/{component}": _get("a component's packages: installed, or what is fetched",
                                                     "{component}"),
            "/v1/install/draft": {
                **_get("choices that were made and not carried out yet"),
                "put": _post("keep such choices; they count until components are changed", draft)["post"],
                "delete": _get("forget them")["get"]},
            "/v1/install/recording": _get("what the server says of itself, as a document", "what"),
            "/v1/journal/verify": _get("whether the journal's chain holds"),
        },
        "components": {
            "schemas": {name: _operation(operation) for name, operation in OPERATIONS.items()},
            "responses": {"Trouble": {"description": "what is wrong, a reason a line", "content": {
                "application/json": {"schema": {"type": "object", "properties": {"error": {"type": "object",
                 "properties": {"code": {"type": "string"}, "reasons": {"type": "array", "items": {"type": "string"}}},
                }}}}}}},
        },
    }
