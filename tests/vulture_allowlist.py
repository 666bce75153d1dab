"""Names that no code of ours uses, and who uses them: vulture reads this file as their use.

A name that nobody uses any more is removed, not added here. Validators, flows and tasks need no
entry: pyproject.toml names their decorators.
"""

# pydantic reads a model's configuration.
_.model_config

# Readers of the result files use these fields.
_.schema_version
_.packages
_.answer_key
_.disagreement
_.thinking
_.critic_score
_.none
_.supported
_.partly
_.not_supported
_.contradicted
_.not_judged

# The parser of Markdown reads where its rules may begin.
_.terminator_re

# Tests compare these options with the prompts: each new option must say whether it is in one.
_.IN_PROMPT

# Prefect calls what a block, a cache policy, a lock manager and a result store have to offer.
_.compute_key
_.read_path
_.write_path
_._resolve_path
_.result_storage
_.lock_manager
_.acquire_lock
_.aacquire_lock
_.await_for_lock
_.wait_for_lock
_.is_locked
_.is_lock_holder

# markdown-it calls the methods of a renderer by the names of tokens.
_.list_item_open
_.th_close

# Prefect's server draws lines from an event to the resources that it is related to.
_.related

# Prefect runs it first in a run that a worker starts: deployments/prefect.yaml names it.
_.enter

# setuptools runs these commands: pyproject.toml names them.
_.FreshBuild
_.WholeSource

# http.server and socketserver call these methods and read these attributes.
_.do_GET
_.do_HEAD
_.log_message
_.args
_.protocol_version
_.server_version
_.sys_version
_.daemon_threads

# html.parser calls these methods for each part of a page.
_.handle_starttag
_.handle_endtag
_.handle_data

# Jinja2's sandbox asks these before it computes or formats.
_.intercepted_binops
_.wrap_str_format

# markdown-it-py asks this before it makes a link, and calls a renderer's method by its token.
_.validateLink
_.heading_open
_.heading_close
_.link_open
_.link_close
_.table_open
_.table_close
_.td_open

# python-docx writes these attributes into the document.
_.alignment
_.author
_.bold
_.bottom_margin
_.comments
_.compress_type
_.last_modified_by
_.left_margin
_.line_spacing
_.modified
_.page_height
_.page_width
_.revision
_.rgb
_.right_margin
_.space_after
_.space_before
_.top_margin
_.underline

# Prefect's work pool template is changed through this name, in place.
_.container

# Templates spell these tags; readers of prompts look for all of them together.
_.HOUSE_STYLE
_.INPUT
_.INSTRUCTIONS
_.PROBLEM
_.SETBACKS
_.VARIANT

# OpenTelemetry's SDK calls an exporter by these.
_.export
_.force_flush

# Prefect's engine reads it from a task.
_.cache_policy

# Python itself: `CheckedFlow.with_options` makes Prefect's flow one of its own kind.
_.__class__

# pydantic writes a topic by this method.
_._briefly

# html.parser and expat call these for what they find.
_.handle_comment
_.handle_startendtag
_.unknown_decl
_.StartElementHandler
