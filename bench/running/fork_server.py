"""Setup of the fork server, which must survive the signals that stop the command."""

import os
import signal

# What goes to the whole group of the command, as Ctrl-C or from `timeout`, does not come here; what goes to all
# processes of a job does.
os.setsid()

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)

# Set and blocked for this process's own beginning; runs, and what they start, are to find things as usual.
if os.environ.get("PYTHONSAFEPATH") == "fork server":
    del os.environ["PYTHONSAFEPATH"]

signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
