"""Looks at every page of the built documentation in a browser: `python -m tools.check_site [FOLDER]`.

Each page is opened in headless Chromium at a narrow and a wide size, in a frame of that width. A page must not scroll
sideways, write an error to the console, or ask anything of another host; the search must find something; and each link
inside the site must lead to a page and an anchor that exist.
"""

import argparse
import contextlib
import json
import os
import posixpath
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WIDTHS = (390, 1280)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WATCH = """<script>
window.faults = [];
window.addEventListener("error", event => window.faults.push(
  event.message || "cannot load " + (event.target.src || event.target.href)), true);
window.addEventListener("unhandledrejection", event => window.faults.push(String(event.reason)));
for (const kind of ["error", "warn"]) {
  const write = console[kind];
  console[kind] = (...words) => { window.faults.push(words.join(" ")); write(...words); };
}
</script>"""
DRIVER = """<!doctype html><title>check</title><body><script>
const pages = PAGES, widths = WIDTHS, results = [];
const wait = time => new Promise(done => setTimeout(done, time));
function look(frame, page, width) {
  const view = frame.contentWindow, root = view.document.scrollingElement;
  const wide = [...view.document.querySelectorAll("article *")].filter(element => {
    let parent = element.parentElement;
    for (; parent; parent = parent.parentElement)
      if (["auto", "scroll", "hidden"].includes(view.getComputedStyle(parent).overflowX)) return false;
    return element.getBoundingClientRect().right > width + 1;
  }).slice(0, 3).map(element => element.tagName + " " + element.textContent.trim().slice(0, 40));
  const hosts = view.performance.getEntriesByType("resource").map(entry => entry.name);
  return {page, width, scroll: root.scrollWidth, inner: view.innerWidth, wide, faults: view.faults || ["no script ran"],
    outside: hosts.filter(name => !name.startsWith(location.origin) && !name.startsWith("data:"))};
}
(async () => {
  for (const width of widths) for (const page of pages) {
    const frame = document.createElement("iframe");
    Object.assign(frame.style, {width: width + "px", height: "800px", border: "0"});
    const loaded = new Promise(done => frame.onload = done);
    frame.src = page; document.body.append(frame);
    await loaded; await wait(PAUSE);
    results.push(look(frame, page, width)); frame.remove();
  }
  const frame = document.createElement("iframe");
  frame.style.width = "1280px"; frame.src = "/?q=circuit"; document.body.append(frame);
  let found = 0;
  for (let times = 0; times < 240 && !found; times++) {
    await wait(250);
    found = frame.contentDocument?.querySelectorAll(".md-search-result__item").length || 0;
  }
  results.push({search: found});
  await fetch("/results", {method: "POST", body: JSON.stringify(results)});
})();
</script></body>"""


def main() -> None:
    """Check the site and say what is wrong; the exit code is 1 if anything is."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    arguments.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "docs")
    arguments.add_argument("--links-only", action="store_true", help="open no browser")
    options = arguments.parse_args()
    pages = pages_of(options.folder)
    links, dead = dead_links(options.folder, pages)
    found = list(dead)
    words = f"{len(pages)} pages, {links} links inside the site"
    if not options.links_only:
        results = looked_at(options.folder, pages)
        found += [fault for result in results for fault in faults_of(result)]
        words += f", {len(results) - 1} looks in a browser at {' and '.join(map(str, WIDTHS))} pixels, a search"
    sys.stdout.write("".join(f"{fault}\n" for fault in found) + f"{words}: {len(found)} faults\n")
    sys.exit(bool(found))


def pages_of(folder: Path) -> list[str]:
    """Return the addresses of all pages from the root of the site."""
    pages = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    if not pages:
        raise FileNotFoundError(f"A site must have pages, but {folder} has none. Run: make docs")
    return pages


class _Page(HTMLParser):
    """The links of a page, and the names that links can lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.names |= {value for key in ("id", "name") if (value := values.get(key))}
        if (target := values.get("href")) and tag == "a":
            self.links.append(target)
        if target and tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.sources.append(target)
        if source := values.get("src"):
            self.sources.append(source)


def read_page(text: str) -> _Page:
    """Read links and names of a page."""
    page = _Page()
    page.feed(text)
    return page


def dead_links(folder: Path, pages: list[str]) -> tuple[int, list[str]]:
    """Return the number of links inside the site, and those that lead nowhere or load from another host."""
    read = {page: read_page((folder / page).read_text(encoding="utf-8")) for page in pages}
    number, dead = 0, []
    for page, content in read.items():
        for target in [*content.links, *content.sources]:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in content.sources and parts.scheme != "data":
                    dead.append(f"{page}: loads {target} from another host")
                continue
            number += 1
            path = urllib.parse.unquote(parts.path)
            place = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
            place = place.lstrip("/")
            if (folder / place).is_dir():
                place = posixpath.normpath(posixpath.join(place, "index.html"))
            if not (folder / place).is_file():
                dead.append(f"{page}: the link {target} leads nowhere")
            elif parts.fragment and place in read and urllib.parse.unquote(parts.fragment) not in read[place].names:
                dead.append(f"{page}: the link {target} has an anchor that {place} lacks")
    return number, dead


def faults_of(result: dict[str, Any]) -> list[str]:
    """Say what was wrong with a page at one width, or with the search."""
    if "search" in result:
        return [] if result["search"] else ["The search finds nothing for `circuit`"]
    name = f"{result['page']} at {result['width']}"
    faults = [f"{name}: console: {fault}" for fault in result["faults"]]
    faults += [f"{name}: loads {address} from another host" for address in result["outside"]]
    if result["scroll"] > result["inner"]:
        faults.append(f"{name}: scrolls sideways, {result['scroll']} pixels; wide are {result['wide']}")
    return faults


def looked_at(folder: Path, pages: list[str], *, pause: int = 250, limit: float = 600.0) -> list[dict[str, Any]]:
    """Open every page in a browser at all widths, and return what was seen."""
    results: queue.Queue[list[dict[str, Any]]] = queue.Queue()
    addresses = json.dumps([f"/{page.removesuffix('index.html')}" for page in pages if page != "404.html"])
    driver = DRIVER.replace("PAGES", addresses).replace("WIDTHS", json.dumps(WIDTHS)).replace("PAUSE", str(pause))
    with serving(folder, driver, results) as port, browsing(f"http://127.0.0.1:{port}/check"):
        try:
            return results.get(timeout=limit)
        except queue.Empty as error:
            raise TimeoutError(f"The browser must answer within {limit} s, but did not.") from error


@contextlib.contextmanager
def serving(folder: Path, driver: str, results: "queue.Queue[list[dict[str, Any]]]") -> Iterator[int]:
    """Serve the site with a script in each page that notes errors, the driver, and a place for what it finds."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **others: Any) -> None:
            super().__init__(*arguments, directory=str(folder), **others)

        def do_GET(self) -> None:
            place = Path(self.translate_path(self.path))
            place = place / "index.html" if place.is_dir() else place
            if self.path == "/check":
                self._answer(driver)
            elif place.suffix == ".html" and place.is_file():
                self._answer(place.read_text(encoding="utf-8").replace("<head>", f"<head>{WATCH}", 1))
            else:
                super().do_GET()

        def do_POST(self) -> None:
            found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer("")
            results.put(found)

        def _answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextlib.contextmanager
def browsing(address: str) -> Iterator[None]:
    """Open a headless browser, and close it at the end."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError(
            f"The check needs one of {', '.join(BROWSERS)}. Install Chromium, or pass --links-only."
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0", "--hide-scrollbars"]
        options += ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [browser, *options, f"--user-data-dir={profile}", "--window-size=1400,900", address]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


if __name__ == "__main__":
    main()
