"""From a path to a LoadTest: the one format that knows it, then what any load test may be suspected of.

Refused: a file that no format or more than one knows, that has no point, or whose requests all failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from infrascale.errors import FileError
from infrascale.loadtests.document import Document, broken, opened
from infrascale.loadtests.formats import formats
from infrascale.loadtests.loadtest import LoadTest, Note, Point

#: Share of failed requests beyond which the survivors no longer tell what the server does.
MOST_FAILED = 0.1
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
        known = ", ".join(one.NAME for one in formats())
        raise broken(path, "no format knows its content", f"give one of: {known}")
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
    if any(_contradicts_itself(point) for point in found.points):
        raise broken(path, "a mean time to first token exceeds the mean of the whole answer: units are mixed")
    kept = tuple(point for point in found.points if _usable(point))
    if not kept:
        raise broken(path, "no point has a TTFT, a TPOT or an end-to-end time of requests that succeeded")
    notes = (*found.notes, *_suspicions(found, kept))
    return replace(found, points=tuple(map(_as_met, kept)), notes=notes)


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


def _contradicts_itself(point: Point) -> bool:
    return bool(point.ttft.mean_s and point.e2e.mean_s is not None and point.ttft.mean_s > 1.001 * point.e2e.mean_s)


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


def _as_met(point: Point) -> Point:
    """The load that the server met: a client at its own limit is a closed loop; no tokens are tokens not counted."""
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
