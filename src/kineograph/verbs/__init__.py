"""The verbs that make a film, the same for the command and for the server."""
