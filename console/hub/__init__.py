"""The websocket hub and the HTTP routes of the old module protocol."""
