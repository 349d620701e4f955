"""Debian's Chromium, driven by selenium: what a reader of the site sees and does."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "no Chromium here: apt-get install chromium chromium-driver"
PATIENCE = 60.0
_ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip
_OWN = ("data:", "blob:", "about:", "chrome:")


class Browser:
    """One Chromium with an empty profile.

    Args:
        profile: Folder for the profile and for downloads.
    """

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile / 'profile'}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.downloads = profile / "downloads"
        self.downloads.mkdir()
        options.add_experimental_option(
            "prefs", {"download.default_directory": str(self.downloads)}
        )
        self.driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        self.base = ""
        self.size(1280, 900)

    def size(self, width: int, height: int) -> None:
        """Set the viewport, CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, media: str = "", scheme: str = "light") -> None:
        """Show as on a screen or on paper, light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def scripts(self, *, on: bool) -> None:
        """Run scripts of pages, or do not."""
        self.command("Emulation.setScriptExecutionDisabled", {"value": not on})

    def command(self, name: str, arguments: dict[str, Any]) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def open(self, address: str, *, afresh: bool = False) -> None:
        """Open a page of the site and wait until it is complete.

        Args:
            address: What stands behind `index.html`, e.g. `#/runs`.
            afresh: Load the document anew, as for a link from elsewhere.
        """
        if afresh or not self.driver.current_url.startswith(self.base):
            self.driver.get("about:blank")
        self.driver.get(f"{self.base}/index.html{address}")
        self.ready(address)

    def ready(self, address: str) -> None:
        """Wait until the page of `address` says that it is complete."""
        path = address.partition("?")[0].removeprefix("#/")
        self.until(
            "return document.documentElement.dataset.ready === "
            "arguments[0].split('/').map(decodeURIComponent).join('/')",
            path,
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait for a script to return something true."""
        return wait_for(lambda: self.run(script, *arguments), script)

    def find(self, selector: str) -> WebElement:
        """The first element that is shown; waits for it."""

        def shown() -> WebElement | None:
            found = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return next((each for each in found if each.is_displayed()), None)

        element: WebElement = wait_for(shown, selector)
        return element

    def text(self, selector: str = "main") -> str:
        """The text that is shown of an element."""
        return str(self.find(selector).text)

    def column(self, field: str) -> list[str]:
        """The cells of a column of the table that is shown."""
        return list(
            self.run(
                "return [...document.querySelectorAll(arguments[0])]"
                ".filter(cell => cell.offsetParent).map(cell => cell.textContent)",
                f'.tabulator-cell[tabulator-field="{field}"]',
            )
        )

    def problems(self) -> list[str]:
        """Errors of the console, and requests that left the folder, since the last call."""
        errors = [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]
        return errors + [
            f"request of {url}" for url in self.requests() if not url.startswith((self.base, *_OWN))
        ]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE:g} s for {what}")
