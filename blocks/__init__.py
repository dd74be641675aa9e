"""Prefect blocks: configuration in, a missiondesk object out."""
