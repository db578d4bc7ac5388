"""Who may use the HTTP side: loopback, other sites, tokens, and how much is read."""

from __future__ import annotations

import socket

import httpx
import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar
from tests.local.http.conftest import TOKEN, Client

VISIT = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("127.9.9.9:1", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST.", 200),
        ("sidecar.localhost:{port}", 200),
        ("[::1]:{port}", 200),
        ("evil.example", 421),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("notlocalhost", 421),
        ("10.0.0.1", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_names_that_are_not_loopback_lead_nowhere(
    running: LocalSidecar, client: httpx.Client, host: str, status: int
) -> None:
    given = host.format(port=running.http_port)
    answer = client.get("/local/about", headers={"Host": given})
    assert answer.status_code == status
    if status == 421:
        assert "is not this machine's loopback; use" in answer.json()["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "{url}"}, 200),
        ({"Origin": "{url}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "something new"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{url}", "Sec-Fetch-Site": "cross-site"}, 403),
        (VISIT, 403),
    ],
)
def test_other_sites_change_nothing(
    running: LocalSidecar, client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    sent = {name: text.format(url=running.http_url) for name, text in headers.items()}
    assert client.delete("/local/clock", headers=sent).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (VISIT, 200),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({**VISIT, "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
def test_other_sites_may_lead_here_and_read_nothing(
    client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = client.get("/local/about", headers=headers)
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_preflight_of_another_site_is_refused(client: httpx.Client) -> None:
    headers = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "DELETE",
    }
    assert client.options("/local/clock", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"X-API-KEY": TOKEN[:-1]},
        {"X-API-KEY": ""},
        {"Cookie": "stigg_guard_{port}=" + TOKEN},
    ],
)
def test_without_the_token_nothing_is_told(
    guarded: LocalSidecar, client_of: Client, headers: dict[str, str]
) -> None:
    client = client_of(guarded)
    sent = {name: text.format(port=guarded.http_port) for name, text in headers.items()}
    for path in ("/local/about", "/metrics", "/local/feed", "/nowhere"):
        answer = client.get(path, headers=sent)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "the token is missing or wrong; send it as" in answer.json()["message"]


def test_health_is_told_without_the_token(
    guarded: LocalSidecar, client_of: Client
) -> None:
    client = client_of(guarded)
    for path in ("/livez", "/readyz"):
        assert client.get(path, headers={"Host": "sidecar:8080"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer  {TOKEN}"},
        {"X-API-KEY": TOKEN},
        {"X-API-KEY": TOKEN, "Host": "sidecar.internal:8080"},
    ],
)
def test_token_opens_by_any_name(
    guarded: LocalSidecar, client_of: Client, headers: dict[str, str]
) -> None:
    answer = client_of(guarded).get("/local/about", headers=headers)
    assert answer.status_code == 200


def test_token_does_not_excuse_another_site(
    guarded: LocalSidecar, client_of: Client
) -> None:
    answer = client_of(guarded).delete(
        "/local/clock", headers={"X-API-KEY": TOKEN, "Origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_browser_comes_in_by_the_token_in_the_address(
    guarded: LocalSidecar, client_of: Client
) -> None:
    client = client_of(guarded)
    entered = client.get("/", params={"token": TOKEN})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith(f"stigg_guard_{guarded.http_port}=")
    assert {"HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
    assert TOKEN not in cookie, "cookies go to every port of the host"
    assert client.get("/local/about").status_code == 200
    assert client.get("/metrics").status_code == 200


def test_wrong_token_in_the_address_is_told_in_words(
    guarded: LocalSidecar, client_of: Client
) -> None:
    answer = client_of(guarded).get(
        "/", params={"token": "wrong"}, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/plain")
    assert "or open /?token=TOKEN in a browser" in answer.text
    assert "set-cookie" not in answer.headers


def test_every_answer_forbids_what_pages_could_do_with_it(client: httpx.Client) -> None:
    for path in ("/livez", "/nowhere", "/local/faults"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_body_that_says_it_is_too_large_is_not_read(running: LocalSidecar) -> None:
    with socket.create_connection(("127.0.0.1", running.http_port or 0)) as raw:
        raw.sendall(
            b"POST /local/faults HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        raw.settimeout(10)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 16,777,216 bytes" in answer


def test_body_that_becomes_too_large_is_refused(client: httpx.Client) -> None:
    chunks = (b" " * 1024 * 1024 for _ in range(17))
    answer = client.post("/local/faults", content=chunks)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is no JSON"),
        (b"\xff", "the body is no JSON (it is not UTF-8 at byte 1); send an object"),
        (b"[" * 200_000, "the body is no JSON (it is nested too deeply); send an"),
        (b"[]", "the body is []; use an object"),
        (
            b'{"delay": "soon", "colour": 1}',
            "use a number; colour is not a field",
        ),
        (b'{"delay": NaN}', "delay is NaN; use a finite number"),
        (b'{"delay": 1' + b"0" * 5000 + b"}", "a number of too many digits"),
    ],
)
def test_body_that_is_none_is_told_with_field_and_value(
    client: httpx.Client, body: bytes, message: str
) -> None:
    answer = client.post("/local/faults", content=body)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "method", "status", "message"),
    [
        ("/nowhere", "GET", 404, "there is nothing at /nowhere"),
        ("/livez", "DELETE", 405, "/livez does not take DELETE"),
        ("/" + "x" * 5000, "GET", 404, "there is nothing at /xxx"),
    ],
)
def test_what_is_not_there_is_told(
    client: httpx.Client, path: str, method: str, status: int, message: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["message"].startswith(message)
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", b"\r\n" * 99],
)
def test_bytes_that_are_no_http_are_refused_and_serving_goes_on(
    running: LocalSidecar, client: httpx.Client, garbage: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", running.http_port or 0)) as raw:
        raw.sendall(garbage)
        raw.shutdown(socket.SHUT_WR)
        raw.settimeout(10)
        while raw.recv(4096):
            pass
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"http_host": "0.0.0.0"}, "http_host is '0.0.0.0', which other machines can"),
        ({"http_host": "example.com"}, "set one with --token or STIGG_GUARD_TOKEN"),
        ({"token": "short"}, "the token has 5 characters; use 16 or more"),
        ({"token": "with spaces in between"}, "has characters that no header can"),
        ({"health_path": "/a b"}, "health_path is '/a b'; use a path such as"),
        ({"ready_path": ""}, "ready_path is '/'; use a path"),
        ({"health_path": "/local/x"}, "but /local is another part"),
        ({"health_path": "/x", "ready_path": "x"}, "are both '/x'; give each its own"),
    ],
)
def test_options_that_do_not_fit_are_told(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LocalSidecar(http_port=0, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_all_hosts_are_served_to_those_who_know_the_token(client_of: Client) -> None:
    with LocalSidecar(http_port=0, http_host="0.0.0.0", token=TOKEN) as sidecar:
        assert sidecar.http_url == f"http://127.0.0.1:{sidecar.http_port}"
        client = client_of(sidecar)
        assert client.get("/local/about").status_code == 401
        known = client.get("/local/about", headers={"X-API-KEY": TOKEN})
        assert known.json()["target"] == sidecar.target
