"""The playground's wire and its text: read whole however they are cut, and never as markup."""

from __future__ import annotations

import random

from support import playground_answers as answers
from support.playground_answers import FINISH, START, pieces
from support.playground_page import Page

pytest_plugins = ["support.playground_fixtures"]


def test_what_a_model_writes_stays_text(page: Page) -> None:
    page.gateway.script = [START, *pieces(answers.HOSTILE, size=5), FINISH]
    page.open()
    page.ask(answers.HOSTILE.replace("\n", " "))
    page.ended()
    tags = page.run("return [...document.querySelectorAll('.turn *')].map((e) => e.localName)")
    assert not {"img", "script", "a", "b"} & set(tags)
    assert page.chrome.title == "llmgateway playground"
    assert page.text(".answer pre") == '<script>document.title = "owned"</script>'


def test_the_stream_is_read_however_it_is_cut(page: Page) -> None:
    page.open()
    event = '{"content_type":"chunked.text","content":"é🙂"}'
    wire = f": ping\n\nevent: A\ndata: {event}\n\ndata:{event}\r\n\r\nretry: 9\n\ndata: [DONE]\n\n"
    read = """
        const bytes = new TextEncoder().encode(given[0]);
        const found = new Set();
        for (let cut = 0; cut <= bytes.length; cut += 1) {
          const body = new ReadableStream({ start(to) {
            to.enqueue(bytes.slice(0, cut));
            to.enqueue(bytes.slice(cut));
            to.close();
          } });
          const events = [];
          for await (const event of module.readEvents(body)) events.push(event.content);
          found.add(events.join("|"));
        }
        return [...found];
    """
    assert page.module("sse.js", read, wire + f"data: {event}") == ["é🙂|é🙂|é🙂"]
    assert page.module("sse.js", read, wire.replace("\n\n", "\r\n\r\n")) == ["é🙂|é🙂"]


def test_growing_text_looks_as_if_it_had_come_at_once(page: Page) -> None:
    page.open()
    chance = random.Random(7)
    marks = [
        "```",
        "`",
        "**",
        "*",
        "- ",
        "1. ",
        "# ",
        "> ",
        "\n",
        "\n\n",
        "  ",
        "word ",
        "é",
        "<b>",
    ]
    texts = ["".join(chance.choices(marks, k=40)) for _ in range(300)]
    differing = page.module(
        "prose.js",
        """
        const shown = (steps) => {
          const parent = document.createElement("div");
          const prose = new module.Prose(parent);
          for (const step of steps) prose.show(step);
          return parent.innerHTML;
        };
        const starts = (text) => [...text].map((_, at) => [...text].slice(0, at + 1).join(""));
        const grown = (text) => shown(starts(text));
        return given[0].filter((text) => grown(text) !== shown([text]));
        """,
        [*texts, answers.LONG],
    )
    assert differing == []


def test_unclosed_marks_cost_no_more_than_any_text(page: Page) -> None:
    page.open()
    took = page.module(
        "prose.js",
        """
        const begun = performance.now();
        for (const mark of ["**a ", "*a ", "`", "``a ", "[", "- ", "#", "> ", "~~~"]) {
          new module.Prose(document.createElement("div")).show(mark.repeat(30_000));
        }
        return performance.now() - begun;
        """,
    )
    assert took < 10_000
