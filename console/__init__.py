"""What people work with: the `missiondesk` command line and the desk that it starts."""
