"""Long work beside the page: in a thread of its own, with its progress and an end on demand.

In: a function that tells how far it is.    Out: Job, which the page looks at now and then; what is done is remembered
for every session. As many run at once as there are cores; the others wait for their turn.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Any

import streamlit as st

from infrascale.errors import InfraScaleError
from infrascale.locales import Words

Tell = Callable[[int, int], None]
MOST_REMEMBERED = 32
LOOKS_EVERY_S = 0.5

_slots = BoundedSemaphore(os.cpu_count() or 1)
_done: OrderedDict[str, Any] = OrderedDict()
_lock = Lock()


class _Ended(Exception):
    """Whoever asked for the work no longer wants it."""


class Job:
    """`result` once it is there, or `error`. `share` of the work that is done; None while it waits or prepares."""

    def __init__(self, key: str, work: Callable[[Tell], Any], remember: bool = True) -> None:
        self.key, self.result, self.error, self._remember = key, None, None, remember
        self.share: float | None = None
        self._end = Event()
        self._thread = Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self._end.set()

    def _tell(self, done: int, total: int) -> None:
        if self._end.is_set():
            raise _Ended
        self.share = done / total if total else None

    def _run(self, work: Callable[[Tell], Any]) -> None:
        try:
            with _slots:
                self._tell(0, 0)
                self.result = work(self._tell)
            if not self._remember:
                return
            with _lock:
                _done[self.key] = self.result
                if len(_done) > MOST_REMEMBERED:
                    _done.popitem(last=False)
        except _Ended:
            pass
        except InfraScaleError as error:
            self.error = error
        except Exception as error:  # a thread's end is silent: without this the page would offer its button again
            logging.getLogger(__name__).exception("work beside the page broke off")
            self.error = InfraScaleError(
                "the computation broke off", why=f"{type(error).__name__}: {error}"[:300], fix="please report it"
            )


def answer(
    w: Words, name: str, key: str, start: str | None, work: Callable[[Tell], Any], *, private: bool = False
) -> Any:
    """The result of this work where it is known; else a button `start`, then its progress, and a button to end it.

    `start` None: it begins by itself, once; a button begins it again after it was ended. `private`: what it finds
    stays with this session.
    """
    with _lock:
        known = _done.get(key)
    job: Job | None = st.session_state.get(f"job_{name}")
    if job is not None and job.key != key:
        job.end()
        job = st.session_state[f"job_{name}"] = None
    if known is None and job is not None:
        known = job.result
    if known is not None:
        return known
    if job is not None and job.error is not None:
        raise job.error
    if job is not None and job.running:
        _followed(w, name)
        return None
    ended = st.session_state.get(f"ended_{name}") == key
    if (start is None and not ended) or st.button(start or w.say("job.again"), key=f"start_{name}", type="primary"):
        st.session_state[f"job_{name}"] = Job(key, work, not private)
        st.rerun()
    return None


@st.fragment(run_every=LOOKS_EVERY_S)
def _followed(w: Words, name: str) -> None:
    job: Job | None = st.session_state.get(f"job_{name}")
    if job is None or not job.running:
        st.rerun()
        return
    share = job.share
    st.progress(
        share or 0.0,
        w.say("job.waiting") if share is None else w.say("job.running", share=w.percent(share)),
    )
    if st.button(w.say("job.cancel"), key=f"end_{name}"):
        job.end()
        st.session_state[f"job_{name}"], st.session_state[f"ended_{name}"] = None, job.key
        st.rerun()
