"""Records: the vocabulary every layer shares, with no behaviour and no I/O."""
