"""A search agent: it looks its sources up, shows them, and lets a model answer from them.

    pip install 'llmgateway[sentient]'
    python search_agent.py --gateway 127.0.0.1:50051 --model chat
    curl -N http://127.0.0.1:8000/assist -H 'content-type: application/json' -d '{
      "query": {"id": "01JAAAAAAAAAAAAAAAAAAAAAAA", "prompt": "Why are there two tides a day?"},
      "session": {"processor_id": "curl", "activity_id": "01JAAAAAAAAAAAAAAAAAAAAAAB",
                  "request_id": "01JAAAAAAAAAAAAAAAAAAAAAAC", "interactions": []}}'

Its events are SEARCH, SOURCES and IMAGES (where there are any), then the text as FINAL_RESPONSE.
What it searches is the bundled text below, so it needs no network but the gateway.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentient_agent_framework import DefaultServer

from llmgateway import AsyncClient, GenerationInput, user
from llmgateway.sentient.agent import GatewayAgent
from llmgateway.sentient.router import EventRouter, Events


@dataclass(frozen=True, slots=True)
class Passage:
    """Something to be found. `image` is an address, empty without one."""

    title: str
    url: str
    content: str
    image: str = ""


def drawing(shapes: str) -> str:
    """An image that needs no server: SVG in its own address."""
    picture = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 4'>{shapes}</svg>"
    return "data:image/svg+xml," + picture.replace("#", "%23")


LIBRARY = (
    Passage(
        "Tides",
        "library:tides",
        "The moon pulls at the near side of the earth more than at its middle, and at the middle"
        " more than at the far side. So the sea rises on both sides, and a shore passes through two"
        " high tides in a day of a little less than 25 hours.",
        drawing(
            "<ellipse cx='3' cy='2' rx='3' ry='1.6' fill='#48c'/><circle cx='7' cy='2' r='.5'/>"
        ),
    ),
    Passage(
        "Spring tides and neap tides",
        "library:spring-tides",
        "At new and full moon the sun pulls along with the moon, and tides are at their highest:"
        " spring tides. At the half moons it pulls across, and tides are low: neap tides.",
    ),
    Passage(
        "Phases of the moon",
        "library:phases",
        "The moon shines by the light of the sun. As it goes round the earth in 29.5 days we see"
        " more or less of its lit half: new moon, first quarter, full moon, last quarter.",
        drawing("<circle cx='4' cy='2' r='1.8'/><path d='M4 .2a1.8 1.8 0 0 1 0 3.6' fill='#fff'/>"),
    ),
    Passage(
        "Eclipses",
        "library:eclipses",
        "The moon's path is tilted by five degrees, so at most new moons its shadow misses the"
        " earth. Where they cross there is an eclipse of the sun, or at full moon of the moon.",
    ),
    Passage(
        "Seasons",
        "library:seasons",
        "The axis of the earth is tilted by 23.4 degrees. In June its north leans to the sun and"
        " has summer, in December its south. The distance to the sun makes no seasons.",
    ),
    Passage(
        "Why the sky is blue",
        "library:sky",
        "Air scatters short waves of light far more than long ones. So blue comes from all over the"
        " sky, and in the evening, after a long way through the air, red is what is left.",
    ),
)


class Index:
    """Finds passages by their words; rare words count more."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._words = [Counter(words(f"{each.title} {each.content}")) for each in passages]
        found_in = Counter(word for counted in self._words for word in counted)
        self._weights = {
            word: math.log(1 + len(passages) / number) for word, number in found_in.items()
        }

    def search(self, query: str, *, most: int = 3) -> list[Passage]:
        """The passages that fit best, the best one first; none where no word fits."""
        asked = set(words(query))
        scores = [
            sum(self._weights[word] * math.log(1 + counted[word]) for word in asked & set(counted))
            for counted in self._words
        ]
        best = sorted(range(len(scores)), key=lambda number: -scores[number])
        return [self._passages[number] for number in best[:most] if scores[number] > 0]


COMMON = re.compile(r"a|and|are|at|by|do|does|for|how|in|is|it|its|of|on|so|the|there|to|what|why")


def words(text: str) -> Iterable[str]:
    """The words that mean something, in lower case and without the plural's s."""
    found = re.findall(r"[a-z0-9.]+", text.lower())
    return (word.rstrip(".").removesuffix("s") for word in found if not COMMON.fullmatch(word))


class SearchRouter(EventRouter):
    """Searches before the model is asked, and puts what was found into the prompt."""

    index = Index(LIBRARY)

    async def before(self, prompt: str, generation: GenerationInput, events: Events) -> None:
        """Tells the search, its sources and its images, and asks to answer from them."""
        await events.text_block("SEARCH", "Searching the library for results...")
        found = self.index.search(prompt)
        results = [{"title": it.title, "url": it.url, "content": it.content} for it in found]
        images = [it.image for it in found if it.image]
        if results:
            await events.document("SOURCES", {"results": results})
        if images:
            await events.document("IMAGES", {"images": images})
        question = (
            "Summarise the provided search results and use them to answer the provided prompt."
            f" Prompt: {prompt}. Search results: {json.dumps(results, ensure_ascii=False)}"
        )
        generation.messages[-1].CopyFrom(user(question))


def main() -> None:
    """Serves the agent until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A search agent on the llmgateway gateway.")
    parser.add_argument("--gateway", default="127.0.0.1:50051", metavar="HOST:PORT")
    parser.add_argument("--model", default="", help="a route's name or provider/model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    client = AsyncClient(arguments.gateway, token=os.environ.get("LLMGATEWAY_TOKEN"))
    agent = GatewayAgent(
        "Search Agent",
        client,
        router=SearchRouter,
        model=arguments.model,
        system="You are a helpful assistant that answers from the sources that it is given.",
    )
    DefaultServer(agent).run(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
