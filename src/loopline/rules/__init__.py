"""Rules: what must be right, as pure functions over records; no clock, disk, socket or thread."""
