"""Compute: cloud machines that run one flow run each, and are deleted after it."""
