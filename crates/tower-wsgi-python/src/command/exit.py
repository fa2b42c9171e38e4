from __future__ import annotations

import signal
import sys
import threading


class _Overdue(BaseException):
    pass


def join_threads(seconds: float) -> list[str]:
    """Join what `threading` joins at the end, and give what still runs after ``seconds``."""
    is_waiting = True
    is_overdue = False

    def end(number: int, frame: object) -> None:
        nonlocal is_overdue
        is_overdue = True
        if is_waiting:
            raise _Overdue

    # From Python 3.13 on `threading` reports what interrupts it, and returns.
    report = sys.unraisablehook
    sys.unraisablehook = lambda error: isinstance(error.exc_value, _Overdue) or report(error)
    signal.signal(signal.SIGALRM, end)
    # Again, where something has caught it.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 0.1)
    try:
        threading._shutdown()
    except _Overdue:
        pass
    finally:
        is_waiting = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = report
    return [thread.name for thread in threading.enumerate() if is_overdue and _is_left(thread)]


def _is_left(thread: threading.Thread) -> bool:
    # The server's own are told of with their requests.
    is_own = thread is threading.main_thread() or isinstance(thread, threading._DummyThread)
    return not (is_own or thread.daemon)
