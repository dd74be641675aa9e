"""The wheel holds all that the desk needs: the editable install of the tests would hide what it lacks."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
wheel, site_packages, repository = sys.argv[1:]
sys.path[:] = [wheel, *(path for path in sys.path if path not in ("", repository)), site_packages]
packages = ("models", "missiondesk", "blocks", "tasks", "flows", "deployments", "console")
imported = 0
for name in packages:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        if not found.name.endswith("__main__") and ".migrations." not in found.name:
            module = importlib.import_module(found.name)
            assert module.__file__.startswith(wheel), module.__file__
            imported += 1
from missiondesk.store.migrate import head
assert head()
print(imported)
"""


def test_every_module_imports_from_the_wheel_alone(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, REPOSITORY],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
        tops = {Path(name).parts[0] for name in archive.namelist()}
    assert "tests" not in tops
    site_packages = sysconfig.get_path("purelib")
    imported = subprocess.run(
        [sys.executable, "-S", "-c", IMPORT_EVERYTHING, unpacked, site_packages, REPOSITORY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr
    assert int(imported.stdout) > 150
