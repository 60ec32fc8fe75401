"""Loaded by the process that runs are forked from, and by no other: what tells the command to stop must not end it."""

import os
import signal

# What goes to the whole group of the command, as from `timeout`, does not come here; what goes to all of a job does.
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
