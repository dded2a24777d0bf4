"""Is the model still right? What it is asked and what it answers becomes a log; all else here reads the log."""
