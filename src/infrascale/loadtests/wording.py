"""A Note as a sentence, in one place, so that a language can take it over."""

from __future__ import annotations

from infrascale.loadtests.loadtest import Note

SENTENCES = {
    "speculative": "speculative decoding was on: its speed holds for this draft and these prompts only",
    "cut_short": "the run was stopped before all of its requests ended",
    "token_counts": "{n} requests where client and server count tokens differently: the server's counts are used",
    "tpot_converted": "TPOT made again from the server's {server} tokens an answer (the client counted {client})",
    "warm_up_left_out": "{n} warm-up requests left out",
    "load_guessed": "the load is not in this file: taken as the mean number in flight, or the rate, that it shows",
    "stages_mixed": "a summary over all stages mixes loads: give the stage files instead",
    "client_tokens": "tokens are counted by the client's own tokenizer: TPOT is off by as much as that is",
    "bursts": "bursts: all requests at once; what lies above the client's or the engine's limit is queueing",
    "characters": "lengths are characters, not tokens: give --isl and --osl to use these points",
    "contradicts": "TTFT + (osl − 1)·TPOT = {sum} s, but its end-to-end time is {e2e} s: its units may be wrong",
    "points_left_out": "{n} loads left out: no request succeeded there",
    "many_failed": "{share} % of the requests failed at {load}: left out of a fit",
    "some_failed": "{share} % of the requests failed at {load}",
    "short": "only {waves} requests a client at {load}: mostly the start of the test; ten make a steady middle",
    "client_cap": "at {load} the client's own limit of {cap} in flight held requests back: treated as a closed loop",
    "idle_clients": "only {seen} in flight on average at {load}: the client, not the server, set the pace",
    "warm_up": "the slowest first token took over five times the median at {load}: warm-up is in it",
}


def sentence(note: Note) -> str:
    return SENTENCES[note.code].format(**note.values)
