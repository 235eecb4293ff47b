"""Executors: where the tasks of a flow run."""
