"""Takes the README's image of the demo, in headless Chromium.

Run ``ecso demo``, then ``python -m examples.demo.screenshot --out docs/demo.png``; needs
``pip install playwright`` and Chromium.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright


def main() -> None:
    """Ask the first example and store what the page shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:7860/", help="where the demo is")
    parser.add_argument("--out", type=Path, default=Path("docs/demo.png"), help="PNG to write")
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels")
    parser.add_argument("--dark", action="store_true", help="in dark colours")
    chosen = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        parser.exit(2, "screenshot: there is no Chromium; apt-get install chromium\n")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": chosen.width, "height": 900},
            color_scheme="dark" if chosen.dark else "light",
        )
        page.goto(chosen.url)
        page.click("#answer-button")
        page.wait_for_selector("#answer .ecso-answer-text")
        page.wait_for_selector("#run-direct:enabled")
        page.mouse.move(0, 0)
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=chosen.out, full_page=True)
        browser.close()
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    main()
