"""A plan held against the server that is to keep it: a few points to measure, commands for them, and a verdict.

design     which loads tell most
tools      the commands of each load-test tool, one file a tool
verdict    what was measured beside what was predicted
"""
