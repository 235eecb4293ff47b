"""The doctor: looks at everything a home needs, and explains what it finds."""
