"""`python -m console` is `missiondesk`."""

from __future__ import annotations

from console.command import main

if __name__ == "__main__":
    main()
