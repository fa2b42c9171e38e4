"""What of Django's `tests/servers` does not hold for this server, and why.

`test_django_servers` says for each what holds instead.
"""

# Tests that are not run, because they call no server.
NOT_RUN = {
    "servers.test_basehttp": (
        "They call `WSGIRequestHandler` and `WSGIServer.handle_error`, classes of Django's "
        "server, on objects that stand for sockets. What they say about HTTP is tested over "
        "sockets in `test_django_servers`."
    ),
}

# Tests that must fail: one that passes is reported.
EXCEPTIONS = {
    "servers.tests.LiveServerViews.test_closes_connection_without_content_length": (
        "Expects that a response without a length ends with its connection, which is all that "
        "Django's server can do (its words: rather simple). RFC 9112 section "
        "7.1: here it is chunked, and the connection stays open."
    ),
    "servers.tests.LiveServerViews.test_keep_alive_on_connection_with_content_length": (
        "Expects that the response to a request with `Connection: close` does not say so and "
        "leaves the connection open. RFC 9112 section 9.6: the server MUST close it and SHOULD "
        "say so. All before that holds."
    ),
    "servers.tests.LiveServerViews.test_keep_alive_connection_clears_previous_request_data": (
        "The same expectation at its end (RFC 9112 section 9.6). All before that holds."
    ),
    "servers.tests.SingleThreadLiveServerViews.test_closes_connection_with_content_length": (
        "Expects that a server with one thread closes each connection after its response, since"
        " Django's would wait for the next request on that thread. Here an idle connection "
        "holds no thread (RFC 9112 section 9.3: connections persist)."
    ),
}
