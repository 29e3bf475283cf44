"""Rows and objects on stdout, in three forms: tables for people, `--plain`, `--json`."""
from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from qrm_tui.cli.columns import STATE_STYLES, TITLES, columns_of, for_people, for_scripts
from qrm_tui.cli.shared_options import Options
from qrm_tui.cli.table import table
from qrm_tui.cli.terminal import emit, harmless, paint, width
from qrm_tui.core.fields import outside
from qrm_tui.core.names import printable

Row = dict[str, Any]


def emit_json(value: Any) -> None:
    """A JSON value; all but ASCII is escaped, so that no terminal is harmed."""
    emit(json.dumps(value, indent=2))


def emit_rows(kind: str, rows: Sequence[Row], options: Options) -> None:
    """A list of objects."""
    if options.json:
        emit_json([outside(row) for row in rows])
        return
    columns = columns_of(kind, rows[0] if rows else {})
    if options.plain:
        if rows:
            emit("\n".join(plain_line(*(for_scripts(field, row.get(field)) for field in columns.plain))
                           for row in rows))
        return
    titles = [TITLES.get(field) or field.upper().replace("_", " ") for field in columns.table]
    body = [[harmless(for_people(field, row.get(field))) for field in columns.table] for row in rows]
    head, *lines = table(titles, body, width(sys.stdout))
    emit(paint(head, "bold", sys.stdout))
    if lines:
        emit("\n".join(paint(line, STATE_STYLES.get(str(row.get("state")), ""), sys.stdout)
                       for line, row in zip(lines, rows, strict=True)))


def emit_object(row: Row, options: Options) -> None:
    """One object, a field a line."""
    if options.json:
        emit_json(outside(row))
    elif options.plain:
        emit("\n".join(plain_line(field, for_scripts(field, value)) for field, value in row.items()))
    else:
        emit("\n".join(described(row)))


def described(row: Row) -> list[str]:
    """An object's fields for people, times as such and as ages."""
    longest = max((len(field) for field in row), default=0)
    lines = []
    for field, value in row.items():
        text = harmless(for_people(field, value))
        exact = for_scripts(field, value)
        if exact and text != exact and field in outside(row) and isinstance(value, (int, float)):
            text = f"{text} ({harmless(exact)})"
        lines.append(f"{harmless(field).replace('_', ' '):{longest}}  {text}")
    return lines


def plain_line(*values: str) -> str:
    """Tab-separated; a tab or newline within a value is escaped."""
    return "\t".join(printable(value, 100_000) for value in values)
