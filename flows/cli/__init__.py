"""`llm-reports`: a thin door to the flows.

Here: arguments, what a terminal shows, `serve`, `view` and `verify`. Not here: anything that a run
does.
"""
