"""From a path to a LoadTest: the one format that knows it, then what any load test may be suspected of.

Refused: a file that no format or more than one knows, that has no point, or whose requests all failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from infrascale.errors import FileError
from infrascale.loadtests.document import Document, broken, opened
from infrascale.loadtests.formats import formats
from infrascale.loadtests.loadtest import UNKNOWN, LoadTest, Note, Point
from infrascale.loadtests.strangers import strange

#: Share of failed requests beyond which the survivors no longer tell what the server does.
MOST_FAILED = 0.1
#: So few of the clients waiting for an answer, one in so many, are no load at all.
MOST_APART = 20.0
#: Share of the whole answer that its parts come to, within which they agree.
AGREE = (0.7, 1.4)
#: A token in less time than any server writes it: the answer came in one piece [s].
WHOLE_TPOT_S = 2e-5
#: Tokens from which an answer is expected to take more than one step.
LEAST_STREAMED = 8
#: Requests a client below which a closed loop is mostly its own start.
LEAST_WAVES = 3


def read(path: str) -> LoadTest:
    """The load test in this file."""
    return understood(opened(path))


def understood(document: Document) -> LoadTest:
    """The load test that a document is, its failed points left out and its weaknesses noted."""
    path = document.path
    knowing = [one for one in formats() if one.recognises(document)]
    if not knowing:
        raise _unknown(document)
    if len(knowing) > 1:
        raise broken(path, f"it looks like {' and like '.join(one.NAME for one in knowing)}")
    try:
        found = knowing[0].read(document)
    except (ArithmeticError, TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise broken(path, f"as {knowing[0].NAME}, its parts do not go together ({error})"[:300]) from None
    if not found.points:
        raise broken(path, "it holds no measurement")
    if all(point.completed == 0 for point in found.points):
        failed = sum(point.failed for point in found.points)
        raise broken(path, f"all of its {failed} requests failed", "see the server's log, then run the test again")
    for point in found.points:
        if why := _impossible(point):
            raise broken(path, f"{why}: units are mixed, or parts of two runs", "give the file as the tool wrote it")
    kept = tuple(point for point in found.points if _usable(point))
    if not kept:
        raise broken(path, "no point has a TTFT, a TPOT or an end-to-end time of requests that succeeded")
    notes = (*found.notes, *_suspicions(found, kept))
    points = tuple(map(_as_met, kept))
    if not any(map(_usable, points)):
        raise broken(path, "its answers were not streamed: no first token was seen", "test again with streaming on")
    return replace(found, points=points, notes=notes)


def _unknown(document: Document) -> FileError:
    """What the file is instead, where that can be told."""
    path, found = document.path, strange(document)
    if found:
        return broken(path, found.why, found.fix)
    if document.text.lstrip()[:1] in ("{", "[") and document.data is None and not document.lines:
        return broken(path, "it is cut off or damaged: not JSON from beginning to end", "copy it again, whole")
    known = ", ".join(one.NAME for one in formats())
    return broken(path, "no format knows its content", f"give one of: {known}")


def read_all(paths: Iterable[str], progress: Callable[[str], None] | None = None) -> list[LoadTest]:
    """Each file; the same file twice, or the same content under two names, is refused."""
    return distinct(map(read, paths), progress)


def distinct(found: Iterable[LoadTest], progress: Callable[[str], None] | None = None) -> list[LoadTest]:
    """Load tests of which no two are the same."""
    tests: list[LoadTest] = []
    for one in found:
        twin = next((t for t in tests if t.points == one.points), None)
        if twin is not None:
            raise FileError(
                f"{one.path} repeats {twin.path}", why="its points are the same to the last digit", fix="give each once"
            )
        tests.append(one)
        if progress:
            progress(one.path)
    return tests


def _usable(point: Point) -> bool:
    return point.completed > 0 and (point.ttft.known or point.tpot.known or point.e2e.known)


def _impossible(point: Point) -> str:
    """What no server can have done, in words; empty where all goes together."""
    ttft, e2e, seen, clients = point.ttft.mean_s, point.e2e.mean_s, point.in_flight, point.concurrency
    if ttft and e2e is not None and ttft > 1.001 * e2e:
        return "a mean time to first token exceeds the mean of the whole answer"
    if point.load_kind == "closed" and seen and clients and point.completed >= LEAST_WAVES * clients:
        if seen > 1.5 * clients + 1:
            return f"{clients:g} clients had {seen:.3g} requests in flight"
        if seen < clients / MOST_APART:
            return f"of {clients:g} clients only {seen:.2g} waited for an answer on average"
    return ""


def _sum_share(point: Point) -> float | None:
    """TTFT + (osl − 1) · TPOT over the whole answer; answers of many lengths bring it off 1, but not far."""
    ttft, tpot, e2e, osl = point.ttft.mean_s, point.tpot.mean_s, point.e2e.mean_s, point.osl_tokens
    if ttft is None or not tpot or not e2e or not osl or osl <= 1:
        return None
    return (ttft + (osl - 1) * tpot) / e2e


def _suspicions(found: LoadTest, kept: tuple[Point, ...]) -> list[Note]:
    """What the points themselves betray."""
    notes = []
    if len(kept) < len(found.points):
        notes.append(Note(code="points_left_out", values={"n": str(len(found.points) - len(kept))}))
    for point in kept:
        share = point.failed / (point.failed + point.completed)
        if share > 0:
            code = "many_failed" if share > MOST_FAILED else "some_failed"
            notes.append(Note(code=code, values={"share": f"{100 * share:.1f}", "load": _load(point)}))
        if point.waves is not None and point.waves < LEAST_WAVES and (point.concurrency or 0) > 1:
            notes.append(Note(code="short", values={"waves": f"{point.waves:.1f}", "load": _load(point)}))
        if _capped(point):
            notes.append(Note(code="client_cap", values={"cap": f"{point.concurrency:g}", "load": _load(point)}))
        if _idle(point):
            notes.append(Note(code="idle_clients", values={"seen": f"{point.in_flight:.1f}", "load": _load(point)}))
        share = _sum_share(point)
        if share is not None and not AGREE[0] < share < AGREE[1] and not _whole(point):
            e2e = point.e2e.mean_s or 0.0
            notes.append(Note(code="contradicts", values={"sum": f"{share * e2e:.4g}", "e2e": f"{e2e:.4g}"}))
        if _whole(point):
            notes.append(Note(code="not_streamed", values={"load": _load(point)}))
        if _warm_up(point):
            notes.append(Note(code="warm_up", values={"load": _load(point)}))
    return notes


def _load(point: Point) -> str:
    if point.load_kind == "open":
        return f"{point.request_per_s:g} requests/s" if point.request_per_s else "open loop"
    return f"{point.concurrency:g} in flight" if point.concurrency else "closed loop"


def _capped(point: Point) -> bool:
    """An open loop whose client allowed only so many in flight, and had nearly all of them in flight."""
    cap, seen = point.concurrency, point.in_flight
    return point.load_kind == "open" and bool(cap and seen and seen > 0.8 * cap)


def _whole(point: Point) -> bool:
    """Answers that came in one piece: what is called the first token is the last one too."""
    ttft, e2e, tpot = point.ttft.mean_s, point.e2e.mean_s, point.tpot.mean_s
    if not point.osl_tokens or point.osl_tokens < LEAST_STREAMED:
        return False
    if tpot is not None:
        return tpot < WHOLE_TPOT_S
    return bool(ttft and e2e) and (e2e - ttft) / (point.osl_tokens - 1) < WHOLE_TPOT_S  # type: ignore[operator]


def _as_met(point: Point) -> Point:
    """The load that the server met: a client at its own limit is a closed loop; no tokens are tokens not counted.

    Of answers in one piece only their end is known.
    """
    if _whole(point):
        point = replace(point, ttft=UNKNOWN, tpot=UNKNOWN, itl=UNKNOWN)
    point = replace(point, isl_tokens=point.isl_tokens or None, osl_tokens=point.osl_tokens or None)
    return replace(point, load_kind="closed", request_per_s=None) if _capped(point) else point


def _idle(point: Point) -> bool:
    """A closed loop whose clients were not all waiting for answers: the client was the bottleneck."""
    seen, clients = point.in_flight, point.concurrency
    return point.load_kind == "closed" and bool(seen and clients and seen < 0.7 * clients and (point.waves or 0) >= 3)


def _warm_up(point: Point) -> bool:
    """A first request that took far longer than the rest: its TTFT tail is over five times its median."""
    middle, tail = point.ttft.quantiles_s.get(0.5), point.ttft.quantiles_s.get(0.99)
    few = point.load_kind == "closed" and (point.concurrency or 5) <= 4
    return bool(few and middle and tail and tail > 5 * middle)
