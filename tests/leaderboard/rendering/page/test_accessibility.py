"""The page for every reader: themes, contrast, names for screen readers, and the width of a phone, in headless Chromium."""

from itertools import pairwise

import pytest
from selenium.webdriver.support.ui import Select

pytestmark = pytest.mark.long


def test_the_theme_follows_the_system_and_the_button(shown):
    shown.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    shown.driver.refresh()
    shades = [shown.run("return getComputedStyle(document.body).backgroundColor")]
    for _ in range(2):
        shown.click("#theme")
        shades.append(shown.run("return getComputedStyle(document.body).backgroundColor"))
    assert all(first != second for first, second in pairwise(shades))
    assert shades[0] == "rgb(16, 21, 28)"
    shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_every_control_has_a_name_and_every_table_a_caption(shown):
    shown.draw("cost-plot")
    shown.draw("forest-plot")
    nameless = shown.run(
        """const named = (node) => node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.[0]?.textContent;
        const controls = [...document.querySelectorAll('button, input, select, summary, a')];
        return controls.filter((node) => !named(node)).map((node) => node.outerHTML)"""
    )
    assert nameless == []
    assert (
        shown.run("return [...document.querySelectorAll('main table')].filter((t) => !t.caption?.textContent).length")
        == 0
    )
    assert shown.run("return [...document.querySelectorAll('thead th')].filter((th) => th.scope !== 'col').length") == 0
    assert shown.run("return [...document.querySelectorAll('.plot svg')].length") == 2
    assert all(shown.plotted(plot) for plot in ("cost-plot", "forest-plot"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast(shown, scheme):
    shown.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    shown.driver.refresh()
    weak = shown.run(CONTRAST)
    Select(shown.find("#families select.shade")).select_by_value("difference")
    weak += shown.run(CONTRAST)
    shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert weak == []


CONTRAST = """
const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
function rgba(color) {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}
function luminance(color) {
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  return [0.2126, 0.7152, 0.0722].reduce((sum, share, k) => sum + share * linear(color[k] / 255), 0);
}
function behind(node) {
  for (; node; node = node.parentElement) {
    const color = rgba(getComputedStyle(node).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
}
const weak = [];
for (const node of document.querySelectorAll('body *')) {
  if (node.closest('script, style, svg, noscript, dialog, option') || !node.getClientRects().length) continue;
  if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
  const levels = [luminance(rgba(getComputedStyle(node).color)), luminance(behind(node))];
  const ratio = (Math.max(...levels) + 0.05) / (Math.min(...levels) + 0.05);
  if (ratio < 4.5) weak.push(`${node.tagName} ${node.className} ${node.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
}
return weak;
"""
"""WCAG 2.2, 1.4.3: texts whose contrast to what is behind them is below 4.5."""


def test_a_phone_needs_no_sideways_scrolling_of_the_page(shown):
    shown.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    shown.driver.refresh()
    shown.draw("cost-plot")
    shown.draw("forest-plot")
    assert shown.run("return document.documentElement.scrollWidth") <= 360
    assert shown.run(
        "return [...document.querySelectorAll('.plot svg')].every((svg) => svg.getBoundingClientRect().width <= 360)"
    )
    shown.click("#samples-table tbody button")
    box = shown.run("return document.querySelector('#samples-table .sample > div').getBoundingClientRect().toJSON()")
    assert box["left"] >= 0 and box["right"] <= 360
