"""Importing this does the preloading: it is the one module that the forkserver is told to import."""

from __future__ import annotations

import gc
import signal

from deployments.prefork.preload import preload
from deployments.prefork.settings import WorkerSettings

# A service manager's SIGTERM goes to all its processes; the forkserver ends with the worker and its children.
signal.signal(signal.SIGTERM, signal.SIG_IGN)

# prefect.cli: multiprocessing imports the worker's console script again in every child.
preload(("prefect.cli", "deployments.prefork.child", *WorkerSettings.load().preload))

# What is here at the fork stays: leaving it alone in collections keeps its pages shared with the children.
gc.collect()
gc.freeze()
