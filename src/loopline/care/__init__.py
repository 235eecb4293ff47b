"""Care of a home: backup and restore, freeing what nobody needs, and finding what is wrong."""
