"""One small study, its site and one browser for all tests of this folder."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from browser import CHROMIUM, DRIVER, MISSING, Browser
from foldwise.site.job import write_site
from site_files import make_site_study


@pytest.fixture(scope="session")
def site_study(tmp_path_factory):
    return make_site_study(tmp_path_factory.mktemp("site_study"))


@pytest.fixture(scope="session")
def site(site_study):
    """The folder of the site."""
    return write_site(site_study.paths, site_study.results / "site").parent


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def served(site):
    """Address of the same folder on a local host."""
    handler = functools.partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    if CHROMIUM is None or DRIVER is None:
        pytest.skip(MISSING)
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium, site):
    """The browser on the folder itself; every test fails on an error or a foreign request."""
    chromium.base = site.as_uri()
    chromium.size(1280, 900)
    chromium.media()
    chromium.problems()
    yield chromium
    assert chromium.problems() == []
