"""Templates: every file that the product writes on any machine is rendered from `templates/`."""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from qrm_tui.core.places import templates_folder


@cache
def _environment(folder: Path) -> jinja2.Environment:
    # StrictUndefined: a missing word is an error here and not a hole in a file there
    return jinja2.Environment(loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined,
                              keep_trailing_newline=True, autoescape=False)


def render(template: str, **words: Any) -> str:
    """The text of `templates/TEMPLATE` with these words in it."""
    return _environment(templates_folder()).get_template(template).render(**words)
