"""Pages and pictures drawn from records alone.

Knows: what is promised to callers: `write_report`, `write_comparison`, `report` in `page`. Refuses to know: models,
torch, how anything was computed.
"""
