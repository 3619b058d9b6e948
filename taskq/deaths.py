"""How a process that ran a task has ended, in words and as data. Pure."""

from __future__ import annotations

import signal

from taskq.task import ErrorDetail, ErrorKind


def cause_of(code: int) -> tuple[str | None, int | None]:
    """Signal name and exit code of a process by its return code, which is negative for a signal; one of them is None."""
    if code >= 0:
        return None, code
    try:
        return signal.Signals(-code).name, None
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}", None


def crash(who: str, signal_name: str | None, exit_code: int | None, peak_rss_bytes: int | None) -> tuple[str, ErrorDetail]:
    """The sentence and the detail for a process (`who`) that died under its task without any doing of ours."""
    if signal_name:
        text = f"{who} died under the task: killed by {signal_name}"
        if signal_name == "SIGKILL":
            text += ", perhaps by the kernel for want of memory (out-of-memory killer)"
    else:
        text = f"{who} died under the task: it exited with code {exit_code}"
    text = with_peak(text, peak_rss_bytes)
    detail = ErrorDetail(
        kind=ErrorKind.CRASH, message=text, signal=signal_name, exit_code=exit_code, peak_rss_bytes=peak_rss_bytes
    )
    return text, detail


def with_peak(text: str, peak_rss_bytes: int | None) -> str:
    """The sentence with the peak, where that is known."""
    return f"{text} (peak resident size {peak_rss_bytes / (1 << 20):.0f} MiB)" if peak_rss_bytes else text
