"""Many films in one go: a line of a file is one film, checked before any is made, made once."""
