"""The server: every verb over HTTP in the shape of OpenAI's videos API, with jobs that survive."""
