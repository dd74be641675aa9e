"""`python -m missiondesk.exchanges.sandbox`"""

from missiondesk.exchanges.sandbox.command import main

main()
