"""The web app: forms → Scenario and Plan → charts. Thin: every formula and every word lives elsewhere.

In: what a person clicks, and the URL, which holds the whole state.    Out: the same answer as the command line.
One file a screen. `page` runs them; `state` is the URL; `charts` draws numbers that others computed.
"""
