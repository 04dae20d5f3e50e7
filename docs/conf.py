"""The site: README.md, docs/*.md and specs/*.md, each where it is, so that links work here and on the site alike.

``python -m sphinx -n -W -c docs . OUTPUT`` builds it, from the top of the repository, as tests/run does.  A new page
needs a place in the tree of docs/index.md.
"""

project = "snapmerge"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "docs/*.md", "specs/*.md"]

myst_heading_anchors = 3  # links to headings, as in limits.md#heading, are checked too
myst_fence_as_directive = ["mermaid"]
suppress_warnings = [
    "misc.highlighting_failure"
]  # the grammars use ISO 14977's repetition, which Pygments doesn't know

html_theme = "furo"
html_title = "snapmerge"
html_copy_source = False
html_additional_pages = {"index": "start.html"}  # the root of the site leads to docs/index
templates_path = ["templates"]
