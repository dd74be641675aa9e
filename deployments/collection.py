"""What Prefect loads in every server, worker and block command (`prefect.collections`); so it stays light."""

from deployments.prefork.worker import PreforkWorker

__all__ = ["PreforkWorker"]
