"""A Prefect worker type whose warm, forked child processes run one flow run at a time."""
