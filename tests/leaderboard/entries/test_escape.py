"""Text from entries is shown as it is, in every format: nothing in it is markup, a link, a command or a formula."""

import csv
import html
import io
import re

import pytest

from cme.leaderboard import load_entries, load_paper
from cme.leaderboard.entries.escape import clip, for_csv, for_latex, for_markdown, printable
from cme.leaderboard.ranking.comparison import make_standing
from cme.leaderboard.rendering.render import FORMATS
from cme.records import write_record

TRICKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a|b",
    "a\\|b",
    "ends with \\",
    "`code`",
    "**bold** _slanted_ __strong__ ~~struck~~",
    "[link](http://evil.example)",
    "![picture](http://evil.example/x.png)",
    "[55.20, 59.01](http://evil.example)",
    "[a][b] [c]: http://evil.example",
    "https://evil.example www.evil.example",
    "&lt;b&gt; &#60;b&#62;",
    "$x^2$ :tada: #1",
    "<!-- comment",
    "../../etc/passwd",
    "line\nbreak\r\n| new | row |",
)


@pytest.mark.parametrize("text", TRICKS)
def test_markdown_shows_the_text_and_nothing_else(text):
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    page = f"Said {for_markdown(text)}\n\n| a | b |\n| --- | --- |\n| {for_markdown(text)} | 1 |\n"
    made = parser.render(page)
    said = re.search(r"<p>Said (.*?)</p>", made, flags=re.S).group(1)
    cells = re.findall(r"<td>(.*?)</td>", made, flags=re.S)
    assert len(cells) == 2 and cells[1] == "1" and said == cells[0]
    assert "<" not in said and html.unescape(said) == printable(text)
    # What GitHub links or replaces beyond the standard: addresses, mail, names of pictures, formulas.
    assert not re.search(r"https?://|(?<!\\)\$|(?<!\\):tada:|www\.", for_markdown(text))


def test_mail_addresses_are_no_links():
    assert for_markdown("me@evil.example") == "me<!-- -->@evil.example"


def test_numbers_need_no_escape():
    for text in ("57.10 [55.20, 59.01]", "-1.19 [-4.52, 2.13]", "29:05 h", "train × LoRA", "text_summarization", "1–3"):
        assert for_markdown(text) == text


@pytest.mark.parametrize("text", ["\x1b[31mred", "gnp\u202eexe", "a\x00b", "zero\u200bwidth"])
def test_what_cannot_be_printed_is_replaced(text):
    for shown in (for_markdown(text), for_latex(text), for_csv(text)):
        assert ("\ufffd" in shown or "?" in shown) and shown.isprintable()


def test_long_texts_are_cut():
    assert clip("a" * 300) == "a" * 199 + "…" and clip("a" * 200) == "a" * 200


def test_latex_has_no_command_of_the_text():
    text = r"\input{/etc/passwd} & 50% $x$ #1 a_b ^ ~ <x> | [1] * \"q\" --x"
    shown = for_latex(text)
    assert "\\input" not in shown and r"\textbackslash{}input\{/etc/passwd\}" in shown
    bare = re.sub(r"\\text[a-z]+\{\}|\\[{}$&#%_]|\{[\[\]*]\}|-\{\}-", "", shown)
    assert not re.search(r"[\\{}$&#%_^~<>|\[\]*\"]|--", bare)


def test_latex_is_not_stopped_by_other_scripts():
    assert for_latex("Größe 模型 ≤ 2") == r"Größe ?? $\leq$ 2"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", "\t=1", "\r\n=cmd|' /C calc'!A0"])
def test_csv_has_no_formulas(text):
    assert for_csv(text).startswith("'") and for_csv("plain") == "plain"


def test_a_board_of_tricks_keeps_its_form(board):
    before = FORMATS["md"](make_standing(load_entries(board.entries), board.entries, resamples=100), load_paper())
    entries = [
        entry.replace(
            method=entry.method if entry.method == "base" else "=x|<script>\n\n# Title\n",
            source="mini\n| a |\n<b>",
            settings=entry.settings and {"rank": 8, "experts": 4, "target_modules": TRICKS[place:]},
            cost_ratios={"train": {"value": 1.0, "low": None, "high": None}, "command": "`x` | <script>"},
        )
        for place, entry in enumerate(load_entries(board.entries))
    ]
    for entry in entries:
        write_record(board.entries / f"{entry.name}.json", entry)
    standing = make_standing(entries, board.entries, resamples=100)
    page = FORMATS["md"](standing, load_paper())
    assert "<script" not in page and "<b>" not in page and page.count("\n# ") == before.count("\n# ")
    for block in re.findall(r"(?:^\|.*\|\n)+", page, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](standing, load_paper()))))
    assert len(rows) == len(entries) and {row["method"][:2] for row in rows} == {"'=", "ba"}
    assert "<script>" in FORMATS["json"](standing, load_paper())
