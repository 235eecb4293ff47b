"""The store: one relational database (SQLite now) in which every acknowledged fact is a row."""
