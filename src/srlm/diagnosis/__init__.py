"""Is this model fit for self-rewarding on these prompts, and what will it converge to? No training involved.

Knows: what is promised to callers: `diagnose` in `preflight`, `compare` in `comparison`, `diagnose_families` in
`families`; each returns records. Torch is needed only where a model runs in this process.
Refuses to know: training, pages.
"""
