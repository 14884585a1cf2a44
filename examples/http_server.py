"""A bundle behind HTTP: the student answers at once, the teacher takes over.

  python -m examples.http_server --bundle=runs/digits/bundle

It listens on 127.0.0.1 alone, port 8000, and upgrades in the background:

  curl http://127.0.0.1:8000/status
  curl --header "Content-Type: image/png" --data-binary @digit.png \
    http://127.0.0.1:8000/predict
  curl --header "Content-Type: application/json" \
    --data '{"examples": ["a fine film"]}' http://127.0.0.1:8000/predict

The last of these is for a bundle of texts; others refuse it and say why.
`http_bodies.py` says what a body may be. Ctrl-C or SIGTERM answers what was
asked and ends. Before it faces others than yourself, put a proxy in front, with
TLS and limits on who may ask how often.
"""

import argparse
import contextlib
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pwl_jax
from examples.http_bodies import Refused, read_examples
from pwl_jax.runtime.errors import Closed, RuntimeFailure

LARGEST_BODY = 8 * 2**20  # Bytes.
MOST_EXAMPLES = 256
AT_ONCE = 16  # Requests; others wait for their turn.


class Server(ThreadingHTTPServer):
  """Has the model, and its upgrade that is under way."""

  daemon_threads = False  # Those that answer are waited for in the end.
  request_queue_size = 128  # Who waits for a turn; Python's 5 turn others away.

  def __init__(self, address, model):
    super().__init__(address, Handler)
    self._turns = threading.BoundedSemaphore(AT_ONCE)
    self.model, self.upgrade = model, model.upgrade()

  def process_request(self, request, address):
    self._turns.acquire()
    try:
      super().process_request(request, address)
    except BaseException:  # No thread could be started.
      self._turns.release()
      raise

  def process_request_thread(self, request, address):
    try:
      super().process_request_thread(request, address)
    finally:
      self._turns.release()

  def status(self):
    """What is served, what is to come, and how far it is."""
    model, error = self.model, self.upgrade.error
    manifest, progress = model.manifest, self.upgrade.progress
    return {
      "composition": model.composition,
      "accuracy": model.accuracy,
      "resident_bytes": model.resident_bytes,
      "upgrade": progress.state,
      "loaded_bytes": progress.loaded_bytes,
      "total_bytes": progress.total_bytes,
      "error": str(error) if error else None,
      "ladder": [
        {"composition": word, "bytes": manifest.bytes_of(word)}
        for word in manifest.ladder
      ],
    }

  def predict(self, body, kind):
    """One answer for every example, all by the same composition."""
    examples = read_examples(body, kind, self.model.manifest.input)
    if not 0 < len(examples) <= MOST_EXAMPLES:
      raise Refused(
        400, f"{len(examples)} examples came; send 1 to {MOST_EXAMPLES}"
      )
    names = self.model.class_names
    try:
      with self.model.pinned() as snapshot:
        logits = snapshot(examples)
    except ValueError as error:  # Of what was sent; it says what is wrong.
      raise Refused(400, str(error)) from error
    except Closed as error:
      raise Refused(503, "the server is shutting down") from error
    best = logits.argmax(axis=-1).tolist()
    return {
      "composition": snapshot.composition,
      "classes": [names[i] if names else i for i in best],
      "logits": logits.tolist(),
    }


class Handler(BaseHTTPRequestHandler):
  """One request on one connection."""

  server_version, sys_version = "pwl_jax", ""
  timeout = 10  # Seconds without a byte.

  def do_GET(self):
    self._answer({"/status": self.server.status}, others={"/predict": "POST"})

  def do_POST(self):
    def predict():
      return self.server.predict(self._body(), self.headers.get_content_type())

    self._answer({"/predict": predict}, others={"/status": "GET"})

  def _answer(self, known, *, others):
    """By the function of this path; `others` are asked by another method."""
    try:
      if self.path in others:
        raise Refused(405, f"ask {self.path} by {others[self.path]}")
      if self.path not in known:
        raise Refused(404, "there are GET /status and POST /predict")
      status, found = 200, known[self.path]()
    except Refused as error:
      status, found = error.status, {"error": str(error)}
    except (TimeoutError, ConnectionError):
      raise  # Nobody is there to be answered.
    except Exception as error:  # What is wrong here is for the log alone.
      self.log_error("%s: %s", type(error).__name__, error)
      status, found = 500, {"error": "the server failed; its log says why"}
    self._send(status, found)

  def _body(self):
    given = self.headers.get("Content-Length", "")
    if not (given.isascii() and given.isdigit()):
      raise Refused(411, "send a Content-Length")
    length = int(given[:20])
    if length > LARGEST_BODY:
      raise Refused(
        413, f"{length} bytes are too many; send up to {LARGEST_BODY}"
      )
    body = self.rfile.read(length)
    if len(body) < length:
      raise Refused(400, f"{len(body)} of {length} bytes came")
    return body

  def send_error(self, code, message=None, explain=None):
    """What the standard library finds wrong is said in JSON as well."""
    self._send(int(code), {"error": message or "the request is not understood"})

  def _send(self, status, found):
    body = json.dumps(found).encode()
    self.send_response(status)
    self.send_header("Content-Type", "application/json")
    self.send_header("Content-Length", str(len(body)))
    self.send_header("Connection", "close")
    self.end_headers()
    self.wfile.write(body)


@contextlib.contextmanager
def serving(bundle, *, host="127.0.0.1", port=8000, **options):
  """A server that answers in threads of its own until the end of the block."""
  with (
    pwl_jax.open(bundle, **options) as model,
    Server((host, port), model) as server,
  ):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
      yield server
    finally:
      server.shutdown()
      thread.join()


def main(arguments=None):
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--bundle", required=True, metavar="DIR")
  parser.add_argument("--host", default="127.0.0.1")
  parser.add_argument("--port", type=int, default=8000)
  options = parser.parse_args(arguments)
  end = threading.Event()
  try:
    with serving(
      options.bundle, host=options.host, port=options.port
    ) as server:
      for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: end.set())
      host, port = server.server_address[:2]
      print(f"serving http://{host}:{port}", flush=True)
      end.wait()
  except (ValueError, OSError, RuntimeFailure) as error:
    sys.exit(f"error: {error}")


if __name__ == "__main__":
  main()
