"""Running sweeps: the plan, the queue, processes, limits and the display of progress."""
