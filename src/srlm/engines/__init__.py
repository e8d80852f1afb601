"""Who runs a model: draws rollouts, proves modes.

Knows: the protocols in `engine`, one implementation a module. Refuses to know: where prompts come from, losses, files.
"""
