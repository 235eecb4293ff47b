"""Other systems' names for what Loopline has, so that their programs go on running."""
