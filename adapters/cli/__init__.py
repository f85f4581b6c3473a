"""`outcry …`: one module per family of commands. What is slow to import is imported by the command that needs it, so `--help` is quick."""
