"""Running flows: the engine, one attempt of a task, what is remembered and recorded."""
