"""Writes every generated part anew: `python -m docs.generate`."""

from .pages import generated_files


for file, content in generated_files().items():
    if not file.exists() or file.read_text("utf-8") != content:
        file.write_text(content, "utf-8")
        print(f"wrote {file}")
