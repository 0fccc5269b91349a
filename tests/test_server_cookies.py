"""Who has signed in stays signed in, whatever other cookies a host has: those of its other ports among them."""

from contextlib import ExitStack

import pytest

from patchseek.server import ServerSettings, create_app

from .live import exchange, get, listening

TOKEN = "a-token-for-tests"
FOREIGN = [
    'prefs={"theme":"dark"}',
    'prefs={"a;b":"c;d"}',
    "nameless",
    "=nameless",
    "=",
    ";;; ;",
    "ü=é",
    "\xff\xfe=\xfd",
    'open="quotes',
    "a b c=d e f",
    "name=va=lue==",
    "a=b,c=d",
    "patchseek=1",
    "patchseek-87650=1",
    "Patchseek-8765=1",
    "patchseek-8765",
    "patchseek-8765=",
    "patchseek-8765=old",
    'patchseek-8765="old"',
    "patchseek-8765=" + "0" * 64,
    "long=" + "x" * 4000,
    "$Version=1",
    "expires=Thu, 01 Jan 1970 00:00:00 GMT",
]


@pytest.fixture
def app(server_collection):
    return create_app(server_collection, ServerSettings(token=TOKEN))


def session_of(answer):
    """The cookie that an answer sets, as a browser sends it back."""
    return answer[1]["set-cookie"].partition(";")[0]


def signed_in(port, *headers):
    return exchange(port, get("/api/collection", *headers))[0] == 200


def test_no_foreign_cookie_signs_anybody_out(app):
    with listening(app) as port:
        own = session_of(exchange(port, get(f"/?token={TOKEN}")))
        assert own.startswith("patchseek-8765=")
        for foreign in FOREIGN:
            assert signed_in(port, f"Cookie: {foreign}; {own}"), foreign
            assert signed_in(port, f"Cookie: {own}; {foreign}"), foreign
            assert signed_in(port, f"Cookie: {own}", f"Cookie: {foreign}"), foreign
            assert signed_in(port, f"Cookie: {foreign}", f"cookie:{own}"), foreign
            assert not signed_in(port, f"Cookie: {foreign}"), foreign
        assert signed_in(port, f"Cookie: {'; '.join([*FOREIGN, own, *FOREIGN])}")
        assert signed_in(port, f"Cookie: a=b, {own}, c=d")  # as some proxies join several
        assert signed_in(port, "Cookie: " + own.replace("=", ' = "') + '"')
        assert signed_in(port, "Cookie:\ta=b;\t" + own.replace("=", "\t=\t") + "\t; c=d")


def test_of_two_cookies_of_our_name_one_is_enough(app):
    with listening(app) as port:
        own = session_of(exchange(port, get(f"/?token={TOKEN}")))
        for other in ("old", "0" * 64, own.partition("=")[2][:-1]):
            assert signed_in(port, f"Cookie: patchseek-8765={other}; {own}")
            assert signed_in(port, f"Cookie: {own}; patchseek-8765={other}")
            assert not signed_in(port, f"Cookie: patchseek-8765={other}; patchseek-8765={other}")


def test_servers_of_one_host_sign_nobody_out_of_each_other(server_collection):
    """Listening on other ports, or on the same of two containers that are published on others."""
    settings = [ServerSettings(token=f"{TOKEN}-{i}", port=port) for i, port in enumerate((8765, 8766, 8765))]
    jar = {}  # of one browser, for the host: cookies know no ports

    def sent():
        return "Cookie: " + "; ".join(f"{name}={value}" for name, value in jar.items())

    with ExitStack() as servers:
        ports = [servers.enter_context(listening(create_app(server_collection, each))) for each in settings]
        for port, own in zip(ports, settings, strict=True):
            name, _, value = session_of(exchange(port, get(f"/?token={own.token}", sent()))).partition("=")
            jar[name] = value
        assert jar.keys() == {"patchseek-8765", "patchseek-8766"}
        assert [signed_in(port, sent()) for port in ports] == [True] * 3
        stranger = create_app(server_collection, ServerSettings(token="another-token"))
        assert not signed_in(servers.enter_context(listening(stranger)), sent())


def test_a_cookie_grows_no_further_and_holds_nothing_but_sessions(server_collection):
    cookie = "patchseek-8765=<script>.x.x"
    for i in range(20):
        with listening(create_app(server_collection, ServerSettings(token=f"{TOKEN}-{i}"))) as port:
            cookie = session_of(exchange(port, get(f"/?token={TOKEN}-{i}", f"Cookie: {cookie}; prefs=1")))
            assert signed_in(port, f"Cookie: {cookie}")
            assert cookie.count(".") == min(i, 7)
    assert len(cookie) < 600
    assert "script" not in cookie


@pytest.mark.parametrize("token", ["Zm9v+YmFy/YmF6==", "a&b=c&token=d", "50%25%of100", "++++////===="])
def test_a_token_typed_into_the_address_bar_as_it_is_lets_in(server_collection, token):
    with listening(create_app(server_collection, ServerSettings(token=token))) as port:
        assert exchange(port, get(f"/?token={token}"))[0] == 200
        assert exchange(port, get(f"/?token={token}x"))[0] == 401
        assert exchange(port, get(f"/?token={token[:-1]}"))[0] == 401
        assert exchange(port, get("/?token="))[0] == 401
        assert exchange(port, get(f"/?{token}"))[0] == 401
