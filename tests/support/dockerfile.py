"""Reads a Dockerfile as far as ours goes: instructions, continuation lines, JSON forms."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    name: str
    value: str

    def exec_form(self) -> list[str]:
        """The instruction's JSON array; what stands before it (options, CMD) does not count."""
        argv: list[str] = json.loads(self.value[self.value.index("[") :])
        return argv


@dataclass(frozen=True)
class Stage:
    image: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.name == name]

    def only(self, name: str) -> Instruction:
        (instruction,) = self.all(name)
        return instruction

    def environment(self) -> dict[str, str]:
        pairs = (pair for line in self.all("ENV") for pair in line.value.split())
        return dict(pair.split("=", 1) for pair in pairs)


def read_stages(path: Path = DOCKERFILE) -> list[Stage]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    stages: list[tuple[str, list[Instruction]]] = []
    for line in filter(None, text.splitlines()):
        name, _, value = line.partition(" ")
        if name == "FROM":
            stages.append((value.split()[0], []))
        else:
            stages[-1][1].append(Instruction(name, value.strip()))
    return [Stage(image, tuple(instructions)) for image, instructions in stages]
