"""A planned deployment under traffic, request by request: what its users feel, and whether the plan's N is enough."""
