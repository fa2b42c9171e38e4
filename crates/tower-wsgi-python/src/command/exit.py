"""Run with the globals of a dictionary: see `exit::join_threads`."""

from __future__ import annotations

import signal
import sys
import threading


class _Timeout(BaseException):
    pass


def join_threads(seconds: float) -> list[str]:
    """Join the threads that `threading` joins at exit; return those that run after ``seconds``."""
    is_waiting = True
    is_timed_out = False

    def on_alarm(number: int, frame: object) -> None:
        nonlocal is_timed_out
        is_timed_out = True
        if is_waiting:
            raise _Timeout

    # From Python 3.13 on, `threading` reports an exception that interrupts it, and returns.
    report = sys.unraisablehook
    sys.unraisablehook = lambda error: isinstance(error.exc_value, _Timeout) or report(error)
    signal.signal(signal.SIGALRM, on_alarm)
    # Repeated, in case code that is interrupted catches the exception.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 0.1)
    try:
        threading._shutdown()
    except _Timeout:
        pass
    finally:
        is_waiting = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = report
    return [thread.name for thread in threading.enumerate() if is_timed_out and _is_left(thread)]


def _is_left(thread: threading.Thread) -> bool:
    # The server reports its own threads with their requests.
    is_own = thread is threading.main_thread() or isinstance(thread, threading._DummyThread)
    return not (is_own or thread.daemon)
