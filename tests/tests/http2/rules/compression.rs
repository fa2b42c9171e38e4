//! The compression of fields (RFC 7541).

use tests::http2::{Fields, Frame, Outcome, RawHttp2, code, flag};

use crate::{
    Server,
    case::{
        Case,
        Expect::{GoAway, Reset, Served},
        case, check,
    },
};

const SERVED: &[crate::case::Expect] = &[Served(200)];

/// h2 reports an error in a block as `PROTOCOL_ERROR`, where the RFC has a code of its own.
const BROKEN: &[crate::case::Expect] = &[
    GoAway(code::COMPRESSION_ERROR),
    GoAway(code::PROTOCOL_ERROR),
];

/// A request of these fields, and then these bytes.
fn get(client: &mut RawHttp2, rest: &[u8]) -> std::io::Result<u32> {
    let fields = Fields::get("/").raw(rest);
    client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
    Ok(1)
}

/// `:method: GET`, `:scheme: http` and `:path: /` of the static table.
const INDEXED: &[u8] = &[0x82, 0x86, 0x84];

const CASES: &[Case] = &[
    case(
        "2.3.1 fields of the static table",
        |client| {
            let fields = Fields::new().raw(INDEXED).field(":authority", "test");
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        SERVED,
    ),
    case("2.3.3 an index of 0", |client| get(client, &[0x80]), BROKEN),
    case(
        "2.3.3 an index beyond the tables",
        |client| get(client, &[0xbe]),
        BROKEN,
    ),
    case(
        "2.3.3 a large index",
        |client| get(client, &[0xff, 0xff, 0xff, 0x7f]),
        BROKEN,
    ),
    case(
        "2.3.3 the name of an index beyond the tables",
        |client| get(client, &[0x7f, 0, 1, b'x']),
        BROKEN,
    ),
    case(
        "2.3.2 the table keeps fields between requests",
        |client| {
            let fields = Fields::new()
                .raw(INDEXED)
                .indexed_field(":authority", "test")
                .indexed_field("x-name", "1");
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            let _ = client.outcome(1);
            // The newest has the first index.
            let fields = Fields::new().raw(INDEXED).index(63).index(62).index(62);
            client.frame(&Frame::headers(3, flag::WHOLE, fields))?;
            Ok(3)
        },
        SERVED,
    ),
    case(
        "2.3.2, 4.1 the table has no more than 4096 bytes",
        |client| {
            let large = "x".repeat(4096 - 32 - 5);
            let fields = Fields::get("/")
                .indexed_field("first", "1")
                .indexed_field("large", large);
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            let _ = client.outcome(1);
            // Only the last one is left.
            client.frame(&Frame::headers(3, flag::WHOLE, Fields::get("/").index(62)))?;
            let _ = client.outcome(3);
            client.frame(&Frame::headers(5, flag::WHOLE, Fields::get("/").index(63)))?;
            Ok(5)
        },
        BROKEN,
    ),
    case(
        "4.4 an entry larger than the table empties it",
        |client| {
            let large = "x".repeat(4096);
            let fields = Fields::get("/")
                .indexed_field("first", "1")
                .indexed_field("large", large);
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            let _ = client.outcome(1);
            client.frame(&Frame::headers(3, flag::WHOLE, Fields::get("/").index(62)))?;
            Ok(3)
        },
        BROKEN,
    ),
    case(
        "4.2 the table may become smaller and larger before the first field",
        |client| {
            let fields = Fields::new().table_size(0).table_size(4096);
            let fields = fields.raw(INDEXED).field(":authority", "test");
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        SERVED,
    ),
    case(
        "4.3 a table of size 0 keeps nothing",
        |client| {
            let fields = Fields::new()
                .table_size(0)
                .raw(INDEXED)
                .indexed_field(":authority", "test");
            client.frame(&Frame::headers(1, flag::WHOLE, fields.index(62)))?;
            Ok(1)
        },
        BROKEN,
    ),
    case(
        "4.2 the table does not grow after a field",
        |client| {
            let fields = Fields::get("/").table_size(100);
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        BROKEN,
    ),
    case(
        "6.3 the table is no larger than the server allows",
        |client| {
            let fields = Fields::new()
                .table_size(4097)
                .raw(INDEXED)
                .field(":authority", "test");
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        BROKEN,
    ),
    case(
        "6.2.2 a field that no table contains",
        |client| get(client, b"\x00\x01x\x011"),
        SERVED,
    ),
    case(
        "6.2.3 a field that no table ever contains",
        |client| get(client, b"\x10\x01x\x011"),
        SERVED,
    ),
    case(
        "6.2.1 a name of the static table",
        |client| get(client, b"\x50\x04gzip"),
        SERVED,
    ),
    case(
        "5.2 a value in the Huffman code",
        // user-agent: www.example.com
        |client| {
            get(
                client,
                b"\x0f\x2b\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            )
        },
        SERVED,
    ),
    // `1` is 00001.
    case(
        "5.2 padding of ones",
        |client| get(client, b"\x00\x01x\x81\x0f"),
        SERVED,
    ),
    case(
        "5.2 padding of zeros",
        |client| get(client, b"\x00\x01x\x81\x08"),
        BROKEN,
    ),
    case(
        "5.2 padding of 8 bits and more",
        |client| get(client, b"\x00\x01x\x82\x0f\xff"),
        BROKEN,
    ),
    case(
        "5.2 the end of string symbol",
        |client| get(client, b"\x00\x01x\x84\xff\xff\xff\xff"),
        BROKEN,
    ),
    case(
        "5.2 a string that is longer than the block",
        |client| get(client, b"\x00\x01x\x05abc"),
        BROKEN,
    ),
    case(
        "5.2 a string without its length",
        |client| get(client, b"\x00\x01x"),
        BROKEN,
    ),
    case(
        "6.2 a field without its name",
        |client| get(client, &[0x40]),
        BROKEN,
    ),
    case(
        "5.1 a number that does not end",
        |client| {
            get(
                client,
                b"\x00\x01x\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            )
        },
        BROKEN,
    ),
    case(
        "5.1 a number beyond all",
        |client| get(client, b"\x00\x01x\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        BROKEN,
    ),
    case(
        "RFC 9113 4.3 a request that is refused still changes the table",
        |client| {
            // An error of the stream.
            let fields = Fields::get("/")
                .indexed_field("x-name", "1")
                .field("connection", "close");
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            let _ = client.outcome(1);
            client.frame(&Frame::headers(3, flag::WHOLE, Fields::get("/").index(62)))?;
            Ok(3)
        },
        SERVED,
    ),
    case(
        "RFC 9113 10.5.1 a list of fields beyond the limit",
        |client| {
            // In the table, a field of 4 KiB costs one byte: 40 of them are beyond 64 KiB.
            let fields = Fields::get("/").indexed_field("x", "x".repeat(4000));
            let fields = (0..40).fold(fields, |fields, _| fields.index(62));
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        &[Served(431)],
    ),
    case(
        "RFC 9113 10.5.1 a list of fields far beyond the limit",
        |client| {
            let fields = Fields::get("/").indexed_field("x", "x".repeat(4000));
            let fields = (0..12_000).fold(fields, |fields, _| fields.index(62));
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        &[
            GoAway(code::ENHANCE_YOUR_CALM),
            Served(431),
            Reset(code::PROTOCOL_ERROR),
        ],
    ),
];

#[test]
fn fields_are_decompressed() {
    check(CASES);
}

#[test]
fn the_server_uses_no_table_if_the_client_has_none() {
    // The client of these tests has said so: each response to it begins with its status, in full.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    for stream in [1, 3, 5, 7] {
        let outcome = client.fetch(stream, "/nowhere");
        assert!(matches!(outcome, Outcome::Served(404, _)), "{outcome:?}");
    }
}
