"""Training footage: fetched, split by shot, cut into clips, and simulated."""
