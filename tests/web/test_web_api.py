"""What the service answers, to good requests and to bad ones."""

from __future__ import annotations

import contextlib
import io
import math
import socket
import sys

import pytest
from PIL import Image

from services import CAPTIONS, JPEG, form
from unrolled.captioner import Captioner, Decoding
from unrolled.errors import InputError, MissingExtraError
from unrolled.web import Settings, read_token, serve

TOKEN = "a-token-of-sixteen-characters"


def test_a_photo_gets_the_caption_that_the_command_gives(service, photos, captioner_folder):
    captioner = Captioner.load(captioner_folder)
    for path in sorted(photos.glob("*.jpg"))[:3]:
        [(_, expected)] = captioner.caption_photos([path])
        [told] = service.post(path.read_bytes()).json["photos"]
        assert told["caption"] == expected.text
        assert told["log_prob"] == pytest.approx(expected.log_prob, abs=1e-4)


def test_each_photo_of_a_form_gets_its_own(service, photos):
    names = ["00_red.jpg", "01_green.jpg", "02_blue.jpg"]
    alone = [service.post((photos / name).read_bytes()).json["photos"][0] for name in names]
    files = [(name, (photos / name).read_bytes()) for name in names]
    files.insert(1, ('заметка".txt', b"no photo"))
    told = service.post_form(files).json["photos"]
    assert [each["index"] for each in told] == [0, 1, 2, 3]
    assert [told[n]["caption"] for n in (0, 2, 3)] == [each["caption"] for each in alone]
    assert told[1]["error"]["code"] == "photo_unreadable"
    assert "caption" not in told[1]


def test_options_are_those_of_the_search(service, photo, photos, captioner_folder):
    captioner = Captioner.load(captioner_folder)
    path = photos / "00_red.jpg"
    for options, decoding in {
        "?beam=1": Decoding(width=1),
        "?beam=5&max_length=4": Decoding(width=5, max_length=4),
        "?sample=true&seed=7&temperature=2": Decoding(
            width=1, sample=True, seed=7, temperature=2.0
        ),
    }.items():
        [(_, expected)] = captioner.caption_photos([path], decoding=decoding)
        assert service.post(photo, options).json["photos"][0]["caption"] == expected.text
    candidates = service.post(photo, "?beam=4&n_best=3").json["photos"][0]["candidates"]
    assert len({each["caption"] for each in candidates}) == 3
    assert candidates == sorted(candidates, key=lambda each: -each["log_prob"])


@pytest.mark.parametrize("options", ["", "&max_length=3", "&sample=true&seed=3"])
def test_the_words_behind_a_caption_multiply_to_its_probability(service, photo, options):
    [told] = service.post(photo, f"?details=true{options}").json["photos"]
    words = told["details"]["words"]
    assert sum(math.log(word["p"]) for word in words) == pytest.approx(told["log_prob"], abs=0.05)
    for word in words:
        assert word["word"] not in [other["word"] for other in word["others"]]
        assert [o["p"] for o in word["others"]] == sorted(o["p"] for o in word["others"])[::-1]
        assert word["p"] + sum(other["p"] for other in word["others"]) < 1.001


def test_who_speaks_is_said(service, captioner_folder):
    told = service.get("/v1/models").json
    assert [model["name"] for model in told["models"]] == [captioner_folder.name]
    assert told["models"][0]["cell"] == "lstm"
    assert told["limits"]["request_photos"] == Settings().request_photos


@pytest.mark.parametrize(
    ("body", "kind", "options", "status", "code"),
    [
        (b"no photo", "image/png", "", 422, "photo_unreadable"),
        (b"", "image/jpeg", "", 422, "no_photo"),
        (b"beam=1", "application/x-www-form-urlencoded", "", 415, "wrong_type"),
        (b"{}", "application/json", "", 415, "wrong_type"),
        (b"x", "multipart/form-data", "", 415, "wrong_type"),
        (b"x", "multipart/form-data; boundary=b", "", 400, "bad_request"),
        (b"x", "multipart/form-data; boundary=" + "b" * 5000, "", 400, "bad_request"),
        (form([("a.jpg", b"x")])[0][:-9], form([])[1], "", 400, "bad_request"),
        (*form([]), "", 422, "no_photo"),
        (*form([("a.jpg", b"")] * 33), "", 413, "too_many_photos"),
        (b"x", "image/jpeg", "?beam=0", 422, "bad_option"),
        (b"x", "image/jpeg", "?beam=wide", 422, "bad_option"),
        (b"x", "image/jpeg", "?beams=3", 422, "bad_option"),
        (b"x", "image/jpeg", "?beam=2&n_best=3", 422, "bad_option"),
        (b"x", "image/jpeg", "?beam=2&sample=true", 422, "bad_option"),
        (b"x", "image/jpeg", "?seed=2", 422, "bad_option"),
        (b"x", "image/jpeg", "?min_length=9&max_length=3", 422, "bad_option"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_code(service, body, kind, options, status, code):
    reply = service.ask("POST", CAPTIONS + options, body, {"Content-Type": kind})
    assert (reply.status, reply.code) == (status, code)
    assert reply.json["error"]["message"][-1] == "."


def test_paths_that_there_are_not(service):
    assert service.get("/v2").code == "not_found"
    assert service.get(CAPTIONS).code == "not_allowed"
    assert service.get("/../../etc/passwd").status == 404


def test_every_answer_has_safe_headers(service, photo):
    for reply in (
        service.post(photo),
        service.post(b"bad"),
        service.get("/nowhere"),
        service.get("/docs"),
        service.get("/healthz", Host="elsewhere.example"),
    ):
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "server" not in reply.headers


def test_pages_of_other_sites_are_refused(service, photo):
    assert service.get("/v1/models", Host="elsewhere.example").code == "unknown_host"
    assert service.post(photo, Origin="https://elsewhere.example").code == "foreign_page"
    assert service.post(photo, Origin="null").code == "foreign_page"
    assert service.post(photo, Origin=service.address.rstrip("/")).status == 200


def test_the_openapi_document_is_whole(service):
    document = service.get("/openapi.json").json
    responses = document["paths"][CAPTIONS]["post"]["responses"]
    assert {"200", "408", "413", "415", "422", "429", "503"} <= set(responses)
    refusal = "#/components/schemas/Refusal"
    assert responses["422"]["content"]["application/json"]["schema"]["$ref"] == refusal


@pytest.fixture(scope="module")
def strict(serving):
    limits = ("--photo-bytes", 50_000, "--request-bytes", 90_000, "--photo-pixels", 10_000)
    limits += ("--seconds", 5, "--request-photos", 2, "--queue", 2)
    with serving(*limits, UNROLLED_TOKEN=TOKEN) as running:
        yield running


BEARING = {"Authorization": f"Bearer {TOKEN}"}


def png(width, height):
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_a_token_is_wanted(strict, photo):
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        reply = strict.post(photo, **wrong)
        assert (reply.status, reply.code) == (401, "token_wanted")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert strict.get("/metrics", **wrong).status == 401
    assert strict.post(photo, **BEARING).status == 200
    assert strict.get("/healthz").json == {"status": "ok"}
    assert strict.get("/readyz").json == {"status": "ready"}


def test_what_is_too_large_is_refused(strict, photo):
    assert strict.post(bytes(50_001), **BEARING).code == "photo_too_large"
    assert strict.post(iter([bytes(30_000)] * 2), **BEARING).code == "photo_too_large"
    big, kind = form([("a", bytes(40_000)), ("b", bytes(50_000))])
    headers = {"Content-Type": kind} | BEARING
    assert strict.ask("POST", CAPTIONS, big, headers).code == "request_too_large"
    assert strict.post(png(101, 100), **BEARING).code == "photo_unreadable"
    assert strict.post(png(100, 100), **BEARING).status == 200
    three, kind = form([("a", photo)] * 3)
    reply = strict.ask("POST", CAPTIONS, three, {"Content-Type": kind} | BEARING)
    assert (reply.status, reply.code) == (413, "too_many_photos")


@pytest.mark.parametrize(
    ("headers", "options", "status"),
    [({"Origin": "http://elsewhere"}, "", b"403"), ({}, "?max_length=none", b"422")],
)
def test_a_refused_client_may_send_on_and_reads_its_answer(service, headers, options, status):
    """Were the connection closed on bytes that nobody has read, it would break under the client."""
    body = bytes(8 << 20)
    lines = {"Host": "localhost", "Content-Length": str(len(body))} | JPEG | headers
    head = f"POST {CAPTIONS}{options} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    host, _, port = service.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(head.encode() + b"\r\n")
        answer = client.recv(1000)
        client.sendall(body)
        while more := client.recv(1000):
            answer += more
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.endswith(b"}")


def test_an_endless_body_is_cut_off(strict):
    def forever():
        while True:
            yield bytes(10_000)

    with contextlib.suppress(ConnectionError):  # it may break before the answer is read
        assert strict.post(forever(), **BEARING).code == "photo_too_large"
    assert strict.get("/readyz").status == 200


def test_a_body_that_does_not_come_is_not_waited_for(strict):
    head = f"POST {CAPTIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in (JPEG | BEARING).items())
    host, _, port = strict.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        slow.sendall(head.encode() + b"\r\nx")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_settings_that_cannot_be(tmp_path):
    for wrong in ({"port": 70_000}, {"queue": 0}, {"seconds": 0}, {"token": "short"}):
        with pytest.raises(InputError):
            Settings(**wrong)
    with pytest.raises(InputError, match="never takes a request of 8 photos"):
        Settings(queue=7, request_photos=8)
    assert Settings(queue=8, request_photos=8).queue == 8
    with pytest.raises(InputError, match="cannot be read"):
        read_token(tmp_path / "none")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "token") == TOKEN


def test_only_this_machine_is_private():
    assert [Settings(host=host).is_private for host in ("127.0.0.1", "::1", "localhost")] == (
        [True] * 3
    )
    assert [Settings(host=host).is_private for host in ("0.0.0.0", "::", "example.org")] == (
        [False] * 3
    )


def test_a_missing_extra_is_said(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("unrolled.web.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"unrolled\[serve\]"):
        serve(Settings(), print)
