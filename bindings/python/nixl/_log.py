# SPDX-License-Identifier: Apache-2.0
"""Lines of the library go to Python's logger ``nixl`` when the program has set up logging.

Decided when the context opens: if the module ``logging`` is loaded and the logger ``nixl`` has a
handler (its own or the root's), lines go there; else the library writes to standard error itself.
The setting ``python_logging`` (True or False) of ``nixl.configure`` decides otherwise.

The compiled module hands lines over through a pipe, because their writer must never wait for the
interpreter's lock. Without it, every call of the library is made without that lock, so a plain
callback cannot block anybody.
"""

import os
import sys

from ._library import LOG, functions

LEVELS = {0: 40, 1: 30, 2: 20, 3: 10, 4: 5}  # of the library -> of logging
wanted = None  # None: as described above

_STOP = b"stop\n"

_attached = None  # what must stay alive while lines come
_complained = False


def say(level, text, *values):
    """A line of the Python layer itself."""
    import logging
    getattr(logging.getLogger("nixl"), level)(text, *values)


def _is_wanted():
    if wanted is not None:
        return wanted
    logging = sys.modules.get("logging")
    return logging is not None and logging.getLogger("nixl").hasHandlers()


def attach():
    global _attached
    if _attached is not None or not _is_wanted():
        return
    from ._calls import hot_module
    _attached = _Pipe(hot_module) if hot_module is not None else _Direct()


def detach():
    """No line comes after this."""
    global _attached
    if _attached is not None:
        functions["log_set"](None, None, -1)
        attached, _attached = _attached, None
        attached.close()


def _emit(level, place, text):
    import logging
    logger = logging.getLogger("nixl")
    number = LEVELS.get(level, 40)
    if logger.isEnabledFor(number):
        path, _, line = place.rpartition(":")
        record = logger.makeRecord("nixl", number, path, int(line or 0), text, (), None)
        logger.handle(record)


class _Direct:
    """ctypes only: the line is logged by the thread that wrote it."""

    def __init__(self):
        import ctypes
        self.function = LOG(self._line)
        functions["log_set"](ctypes.cast(self.function, ctypes.c_void_p), None, -1)

    @staticmethod
    def _line(_user, level, file, line, text):
        _emit(level, "%s:%d" % ((file or b"").decode("utf-8", "replace"), line),
              (text or b"").decode("utf-8", "replace"))

    def close(self):
        pass


class _Pipe:
    """The compiled sink writes to a pipe; a thread reads it."""

    def __init__(self, hot):
        import threading
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.write_end, False)
        function = hot.log_to(self.write_end)
        self.thread = threading.Thread(target=self._run, name="nixl-log", daemon=True)
        self.thread.start()
        self.process = os.getpid()
        functions["log_set"](function, None, -1)

    def _run(self):
        with open(self.read_end, "rb", closefd=True) as stream:
            for record in stream:
                if record == _STOP:
                    return
                try:
                    level, place, text = (
                        record.decode("utf-8", "replace").rstrip("\n").split("\t", 2)
                    )
                    _emit(int(level), place, text)
                except (
                    Exception
                ) as error:  # a handler of the program; the next line may fare better
                    global _complained
                    if not _complained:
                        _complained = True
                        sys.stderr.write("nixl: a log line was lost: %r\n" % (error,))

    def close(self):
        import threading
        if self.process == os.getpid():
            os.set_blocking(self.write_end, True)
            os.write(self.write_end, _STOP)  # a child of a fork may keep the pipe open
            if self.thread is not threading.current_thread():
                self.thread.join(2.0)
        else:
            os.close(self.read_end)  # here, too, is no thread that would do it
        os.close(self.write_end)
