"""Pages and an API on this machine's own loopback, each behind a token."""
