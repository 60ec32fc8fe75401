"""The exception for wrong input: its message names the thing and the fix."""


class InputError(ValueError):
    """Input from the user that cannot be used.

    The message is one line that names the thing and the fix. The command line prints it and exits with status 2.
    """
