"""A headless Chromium of the system's own.

Nothing is downloaded: selenium is told where the browser and its driver are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_INSTALL = "the playground's test needs Debian's browser: apt-get install chromium chromium-driver"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def headless(profile: Path) -> Iterator[Chrome]:
    """A browser with an empty profile in that folder."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail(_INSTALL)
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options, Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def show_as(chrome: Chrome, width: int, height: int, *, theme: str, motion: bool = True) -> None:
    """The size of the window in CSS pixels, and what the system prefers."""
    size: dict[str, Any] = {"width": width, "height": height, "deviceScaleFactor": 2}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "mobile": width < 600})
    wanted = {
        "prefers-color-scheme": theme,
        "prefers-reduced-motion": "no-preference" if motion else "reduce",
    }
    features = [{"name": name, "value": value} for name, value in wanted.items()]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
