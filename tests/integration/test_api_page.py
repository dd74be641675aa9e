"""`docs/api.md` names every route there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from console.api.app import create_app
from missiondesk.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
TAGS = {
    "Missions",
    "Tasks",
    "Conditions",
    "Templates",
    "Results",
    "Market data",
    "Metrics",
    "Health",
    "Components",
}


def test_the_page_names_all_routes_and_no_others() -> None:
    paths = create_app(Settings.load({})).openapi()["paths"]
    routes = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if TAGS & set(operation["tags"])
    }
    assert set(re.findall(r"^\| `([A-Z]+ /\S+)`", PAGE.read_text(), re.MULTILINE)) == routes
