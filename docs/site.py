"""A hook of mkdocs: the tables of benchmarks/results are pages of the site, under results/; links lead there."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

_RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def on_files(files: Any, config: Any) -> Any:
    """Adds the tables to the files of the site."""
    for table in sorted(_RESULTS.glob("*.md")):
        files.append(File.generated(config, f"results/{table.name}", abs_src_path=str(table)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """On GitHub a page links to ../benchmarks/results; in the site these lie beside it; so do gallery pages."""
    up = "../" * page.file.src_uri.count("/")
    if page.file.src_uri == "gallery.md":
        built = {one.stem for one in (Path(config["docs_dir"]) / "gallery").glob("*.html")}
        opens = r"[\g<0>](gallery/\1.html)"
        markdown = re.sub(rf"!\[[^]]*\]\(gallery/({'|'.join(built) or '-'})\.png\)", opens, markdown)
    return markdown.replace(f"]({up}../benchmarks/results/", f"]({up}results/")
