"""What every command of this project does with a user's mistake, a Ctrl-C and a closed pipe.

    @friendly_errors()
    def main(): ...

A mistake that the user can mend is raised as `InputError` with a message that says what, where and the cure.
"""

import os
import sys
from contextlib import contextmanager


class InputError(Exception):
    """A mistake of the user's: its message is shown without a traceback, and the exit code is 2."""


@contextmanager
def friendly_errors():
    """Exit 2 on `InputError` and on a path that cannot be used, 130 on Ctrl-C; be silent when `| head` has gone."""
    try:
        yield
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        if error.filename is None:  # a port, for one
            raise
        cure = "choose another path, or mend this one"
        print(f"error: {error.filename} cannot be used ({error.strerror}): {cure}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        print("stopped by Ctrl-C", *interrupt.args, sep=": ", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's last flush fails too
