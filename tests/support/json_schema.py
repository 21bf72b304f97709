"""As much of JSON Schema as the configuration's schema uses."""

import re
from typing import Any


def accepts(schema: dict[str, Any], part: dict[str, Any], value: Any) -> bool:
    """Whether a part of the schema accepts the value; bounds of numbers are not looked at."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in part and "type" not in part:
        return any(accepts(schema, choice, value) for choice in part["anyOf"])
    kinds: dict[str, Any] = {
        "string": str, "object": dict, "array": list, "boolean": bool, "integer": int,
        "number": int | float,
        "null": type(None),
    }  # fmt: skip
    if not isinstance(value, kinds[part["type"]]) or value not in part.get("enum", [value]):
        return False
    if isinstance(value, str):
        return re.search(part.get("pattern", ""), value) is not None
    if isinstance(value, list):
        return all(accepts(schema, part["items"], item) for item in value)
    if isinstance(value, dict):
        patterns = part.get("patternProperties", {"": part.get("additionalProperties")})
        (inner,) = patterns.values()
        known = part.get("properties", {})
        needed = part.get("anyOf", [{"required": part.get("required", [])}])
        return any(set(choice["required"]) <= set(value) for choice in needed) and all(
            (key in known or bool(inner)) and accepts(schema, known.get(key, inner), item)
            for key, item in value.items()
        )
    return True
