"""Models know nothing of tasks, of training, or of the machine that they run on."""
