"""From the Mission table to what runs in Prefect: deployments, their schedules, and the warm worker."""
