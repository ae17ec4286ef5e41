"""The frame of a report's page, which needs no other file."""
import html as markup
import pathlib

HERE = pathlib.Path(__file__).parent


def html(kicker, title, question, body, script=""):
    """A page; `body` is HTML, and the other texts are not. `script` may be left
    out."""
    title = markup.escape(title)
    script = f"<script>{script}</script>\n" if script else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{(HERE / "report.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<p class="kicker">{markup.escape(kicker)}</p>
<h1>{title}</h1>
<p class="question">{markup.escape(question)}</p>
{body}
</main>
{script}</body>
</html>
"""
