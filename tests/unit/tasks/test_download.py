"""The download of an official file, from a server on this machine that behaves and misbehaves."""

import gzip
import hashlib
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.submissions.download import fetch_submission
from foldwise.tasks import sources
from foldwise.tasks.official import official_task
from foldwise.tasks.sources import locate_official

DATA = gzip.compress(b'{"index": [], "columns": [], "data": []}' * 1000, mtime=0)
PAGE = b"<html><body>Scheduled maintenance</body></html>"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        behaviour = self.path.strip("/")
        if behaviour == "absent":
            self.send_error(404)
            return
        if behaviour == "noise":
            self.wfile.write(b"\x00\x01\x02\n\n")
            return
        self.send_response(200)
        if behaviour == "unannounced":
            self.end_headers()
            self.wfile.write(DATA[: len(DATA) // 2])
            return
        self.send_header("Content-Length", str(len(PAGE if behaviour == "page" else DATA)))
        self.end_headers()
        if behaviour == "interrupted":
            self.wfile.write(DATA[: len(DATA) // 2])
            self.wfile.flush()
            self.connection.close()
        elif behaviour == "silent":
            self.wfile.write(DATA[:10])
            self.wfile.flush()
            time.sleep(1.5)
        else:
            self.wfile.write(PAGE if behaviour == "page" else DATA)

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    monkeypatch.setattr(sources, "_DOWNLOAD_TIMEOUT", 0.5)
    return replace(official_task("matbench_jdft2d"), sha256=hashlib.sha256(DATA).hexdigest())


def test_the_file_comes_from_its_address_once_and_is_checked(task, address):
    found = locate_official(replace(task, url=f"{address}/data"))
    assert found.path == task.file_path
    assert found.path.read_bytes() == DATA
    assert found.sha256 == task.sha256
    again = locate_official(replace(task, url="http://127.0.0.1:9/nobody"))
    assert again.path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("behaviour", "line"),
    [
        ("interrupted", f"broke off after {len(DATA) // 2:,} of {len(DATA):,} bytes"),
        ("unannounced", "another file, or a page in place of it"),
        ("noise", "could not be downloaded (BadStatusLine"),
        ("page", f"gave {len(PAGE)} bytes: another file, or a page"),
        ("absent", "could not be downloaded (HTTP Error 404"),
        ("silent", "could not be downloaded (timed out)"),
    ],
)
def test_what_is_not_the_file_is_one_line_and_leaves_nothing(task, address, behaviour, line):
    with pytest.raises(FoldwiseError) as caught:
        locate_official(replace(task, url=f"{address}/{behaviour}"))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(task.file_path.parent.iterdir()) == []


@pytest.mark.parametrize("behaviour", ["interrupted", "unannounced", "noise", "page"])
def test_half_a_submission_is_not_kept_without_a_checksum(tmp_path, address, behaviour):
    with pytest.raises(FoldwiseError):
        fetch_submission("alpha", tmp_path / "results.json.gz", url=f"{address}/{behaviour}")
    assert list(tmp_path.iterdir()) == []


def test_another_checksum_is_refused_before_the_file_is_in_place(task, address):
    wrong = replace(task, url=f"{address}/data", sha256="0" * 64)
    with pytest.raises(FoldwiseError, match="expected 000000000000"):
        locate_official(wrong)
    assert not task.file_path.exists()
