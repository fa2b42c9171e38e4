"""PEP 3333, row by row: what it asks of a server, each rule driven over a socket.

Each test says by `rules.rule` which rules it holds; `docs/pep3333.md` is the table of them. The applications are in
`pep3333.applications`, served on a pool of threads and on the event loop; the valid ones also inside
`wsgiref.validate.validator`.
"""
