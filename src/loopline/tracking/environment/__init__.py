"""The environment of a run: code version, interpreter, packages, machine."""
