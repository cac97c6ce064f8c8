"""Hardware profiles: how fast this very machine runs the operators of a model, measured in minutes.

shapes     what is measured, as the Work it asks
kernels    seconds of each shape, by PyTorch, on a GPU or on this CPU
links      seconds of an all-reduce between GPUs
fitting    curves from seconds
forward    curves from whole steps that `vllm bench forward` timed
document   the file that `--gpu path/to/profile.toml` takes
"""
