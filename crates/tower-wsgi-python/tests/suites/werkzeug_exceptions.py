"""What of Werkzeug's `tests/test_serving.py` does not hold for this server, and why.

`test_werkzeug_serving` says for each exception what holds instead. A name covers all parameters of
its test, unless it has some itself.
"""

# Tests that are not run, because they call what only Werkzeug has.
NOT_RUN = {
    "test_port_is_int": ("It calls `run_simple`, which the tests below do not have."),
    "test_exclude_patterns": ("It calls functions of Werkzeug's reloader."),
    "test_reloader_sys_path": ("It waits for what Werkzeug's reloader logs."),
    "test_watchdog_reloader_ignores_opened": ("It calls a class of Werkzeug's reloader."),
    "test_watchdog_reloader_ignores_closed_no_write": ("It calls a class of Werkzeug's reloader."),
    "test_windows_get_args_for_reloading": ("It calls a function of Werkzeug's reloader."),
    "test_host_with_ipv6_scope": (
        "It replaces a method of `WSGIRequestHandler`, to see what Werkzeug logs for such a client."
    ),
    "test_ssl_object": (
        "It gives the server an `ssl.SSLContext`. TLS is not Python's here, so that there is no "
        "setting for an object of it: the certificate and its key are files."
    ),
}

# Tests that must fail: one that passes is reported.
EXCEPTIONS = {
    "test_server[unix socket]": (
        "Its client sends the socket's path as `Host`, which is no host. RFC 9112 section 3.2: "
        "a server MUST respond to an invalid Host with 400."
    ),
    "test_untrusted_host": (
        "Its client sends a target with a fragment. RFC 9112 section 3.2: a target has none. "
        "`#` is refused with 400, so that no one takes what follows it for the path or leaves "
        "it out of one. Without it all holds."
    ),
    "test_double_slash_path": (
        "Expects that a path's first slashes become one, so that Werkzeug does not take "
        "`//name` for a host. Here that never happens, and the application gets the path that "
        "the client sent: an empty segment is one (RFC 3986 section 3.3). "
        "`clean_path_middleware` redirects from such paths."
    ),
    "test_chunked_request": (
        "Expects `HTTP_TRANSFER_ENCODING`, and no `CONTENT_LENGTH` or the invalid one. The body"
        " has arrived and is decoded, so it has a length and no coding any more: RFC 9112 "
        "section 7.1.3 asks for just that. All else holds."
    ),
    "test_multiple_headers_concatenated": (
        "Expects the spaces at the end of a field's value. RFC 9110 section 5.5: they are no "
        "part of it. The values are joined with commas."
    ),
    "test_multiline_header_folding": (
        "Expects that folded lines are joined. RFC 9112 section 5.2: a server MUST refuse them "
        "with 400, or put spaces in their place; a line that is folded is more often an attack "
        "than a field."
    ),
    "test_streaming_close_response": (
        "Expects HTTP/1.0 responses of a server with one thread, as Werkzeug's gives. Here these,"
        " too, are HTTP/1.1 and chunked, and an idle connection holds no thread. A client of "
        "HTTP/1.0 gets what the test expects, except that a broken response is reset, since "
        "nothing else tells such a client that it is not whole."
    ),
}
