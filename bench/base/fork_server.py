"""Setup of the fork server, which must survive the signals that stop the command."""

import os
import signal

# Signals to the command's process group, from Ctrl-C or `timeout`, do not arrive in a session of its own. Those to all
# processes of a job do.
os.setsid()

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)

# Needed only while this process started; runs and their children get the usual settings.
if os.environ.get("PYTHONSAFEPATH") == "fork server":
    del os.environ["PYTHONSAFEPATH"]

signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
