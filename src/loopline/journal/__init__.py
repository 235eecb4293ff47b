"""The journal: facts wait here, safe from the death of the process, until the store has them."""
