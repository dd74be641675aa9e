"""The table of all templates in `docs/templates.md`, made from the registry.

python -m missiondesk.templates.page docs/templates.md    # writes the table anew
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic.fields import FieldInfo

from missiondesk.templates.registry import Kind, TaskTemplate, all_templates
from models.errors import InputRefused

BEGIN = "<!-- table: made by python -m missiondesk.templates.page docs/templates.md -->"
END = "<!-- end of table -->"

_KINDS: tuple[Kind, ...] = ("data", "condition", "trade", "mix", "component")


def table() -> str:
    """One row per template that is ours, kind by kind: name, kind, params with defaults, meaning."""
    own = [
        template for template in all_templates() if template.function.__module__.startswith("missiondesk.")
    ]
    rows = sorted(own, key=lambda template: (_KINDS.index(template.kind), template.name))
    return "\n".join(["| name | kind | params | meaning |", "|---|---|---|---|", *map(_row, rows)])


def updated(page: str) -> str:
    """The page with its table made anew. Raises InputRefused when the page has no place for it."""
    place = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if not place.search(page):
        raise InputRefused(f"expected the page to hold {BEGIN} and {END}, got neither or one of them")
    return place.sub(lambda _: f"{BEGIN}\n{table()}\n{END}", page)


def _row(template: TaskTemplate) -> str:
    params = ", ".join(_param(name, field) for name, field in template.params.model_fields.items())
    meaning = " ".join(template.help.split())
    return f"| `{template.name}` | {template.kind} | {params} | {meaning} |"


def _param(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return f"**`{name}`**"
    usual = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"`{name}`" if usual is None else f"`{name}` = {usual}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text()))
