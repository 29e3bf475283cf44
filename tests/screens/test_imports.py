"""The app starts lean: nothing of the server is imported, and what is seldom wanted comes when it is wanted."""

from __future__ import annotations

import subprocess
import sys


def imported(statement: str) -> set[str]:
    """Modules that a fresh interpreter has after it."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_app_is_a_client_and_nothing_else() -> None:
    modules = imported("import qrm_tui.screens.application, qrm_tui.client.connection, qrm_tui.app, "
                       "qrm_tui.screens.form, qrm_tui.screens.plan, qrm_tui.screens.job, qrm_tui.screens.bulk")
    assert not modules & {"sqlmodel", "sqlalchemy", "pydantic", "asyncssh", "jinja2", "libvirt", "starlette", "uvicorn"}
    assert not {name for name in modules if name.startswith(("qrm_tui.daemon", "qrm_tui.db", "qrm_tui.backends"))}


def test_forms_plans_and_inputs_are_not_part_of_the_start() -> None:
    modules = imported("import qrm_tui.screens.application, qrm_tui.styles.themes")
    late = {f"qrm_tui.screens.{name}" for name in ("form", "plan", "job", "bulk", "help", "palette", "command", "why")}
    assert not modules & (late | {"qrm_tui.core.filters", "msgspec"})


def test_the_entry_imports_no_textual_before_it_must() -> None:
    assert "textual" not in imported("import qrm_tui.app")
