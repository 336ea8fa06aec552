"""A real browser for tests of the page: headless Chromium."""

import json
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def start():
    """Headless Chromium, or a skipped test where there is none."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


class Page:
    """The page in the browser, and what a person does with it."""

    def __init__(self, driver, path):
        self.driver, self.path = driver, path
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.get_log("browser")
        driver.get_log("performance")
        driver.get(path.as_uri())
        self.run("try { localStorage.clear() } catch {}")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, script, seconds=20):
        return WebDriverWait(self.driver, seconds).until(lambda _: self.run(script))

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def click(self, selector):
        element = self.find(selector)
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def choose(self, identifier, label):
        Select(self.find(f"#{identifier}")).select_by_visible_text(label)

    def names(self, table, kind="tbody:not(.rest)"):
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((cell) => cell.textContent)",
            f"#{table} {kind} tr > th",
        )

    def cells(self, table, kind="tbody:not(.rest)"):
        """The texts of a table's body, line by line."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((tr) => [...tr.children].map((td) => td.textContent))",
            f"#{table} {kind} tr",
        )

    def draw(self, plot):
        """Scroll to a plot and wait until it is drawn."""
        self.run("document.getElementById(arguments[0]).scrollIntoView({behavior: 'instant'})", plot)
        self.wait(f"return document.querySelector('#{plot} svg') !== null")

    def plotted(self, plot):
        """What a screen reader says of a plot's points."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((mark) => mark.getAttribute('aria-label'))",
            f"#{plot} .mark-symbol[role='graphics-object'] [role='graphics-symbol'], #{plot} .mark-symbol path[aria-label]",
        )

    def console(self):
        return [item for item in self.driver.get_log("browser") if item["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """Addresses that were asked for."""
        events = [json.loads(item["message"])["message"] for item in self.driver.get_log("performance")]
        return {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
