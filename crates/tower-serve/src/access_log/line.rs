//! One line of the access log: its formats, and what bounds it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderValue, StatusCode};

use super::{
    AccessLogFormat, escape,
    request::{Fields, LoggedRequest, user},
    timestamp::{Timestamp, second},
};
use crate::log_writer::PIPE_BUF;

/// The status that is logged for a request without a response, as by nginx.
const NO_RESPONSE: u16 = 499;

/// The most bytes of a client's fields in a line of a file, and in one that a pipe must keep together.
const ROOM: usize = 16 << 10;
const ROOM_IN_PIPE: usize = PIPE_BUF - 512 - REQUEST_ID;

/// The most bytes of a request's identifier.
const REQUEST_ID: usize = 128;

/// The initial capacity of a line's head, and the largest that is kept for the next one.
const USUAL: usize = 256;
const KEPT: usize = 4 * USUAL;

/// The format of the lines of one log.
#[derive(Debug)]
pub(super) struct LineFormat {
    format: AccessLogFormat,
    room: usize,
    timestamp: Mutex<Timestamp>,
    /// Whether a line has the identifier of its request.
    has_request_id: bool,
    /// The end of every line.
    end: String,
}

/// The parts of a line that are known from the request. The requests of a client use it one after another.
#[derive(Debug, Default)]
pub(super) struct LineHead {
    text: Vec<u8>,
    /// The end of the client's address, the user and the time.
    begin: usize,
    /// The second in which the next line can have the same beginning.
    second: Option<i64>,
    /// Where the outcome is inserted.
    split: usize,
}

impl LineHead {
    /// The next line is not of the same client.
    pub(super) fn forget_client(&mut self) {
        self.second = None;
    }

    /// Frees the memory of a long line.
    pub(super) fn forget_long(&mut self) {
        if self.text.capacity() > KEPT {
            *self = Self::default();
        }
    }
}

/// How the response to a request ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) status: Option<StatusCode>,
    pub(super) bytes: u64,
    /// Bytes from the client, at the end of an upgraded connection.
    pub(super) received: Option<u64>,
    pub(super) duration: Duration,
    pub(super) aborted: bool,
}

impl LineFormat {
    /// With `whole_writes`, the file of the log keeps lines of any length together.
    pub(super) fn new(format: AccessLogFormat, whole_writes: bool, slot: usize) -> Self {
        let end = match format {
            AccessLogFormat::Json => {
                format!(",\"slot\":{slot},\"pid\":{}}}\n", std::process::id())
            }
            AccessLogFormat::Common | AccessLogFormat::Combined => "\n".into(),
        };
        Self {
            format,
            room: if whole_writes { ROOM } else { ROOM_IN_PIPE },
            timestamp: Mutex::new(Timestamp::new(format)),
            has_request_id: false,
            end,
        }
    }

    /// Adds the identifiers of the requests.
    pub(super) fn with_request_ids(self) -> Self {
        Self {
            has_request_id: true,
            ..self
        }
    }

    /// Whether a line has the duration of its request.
    pub(super) fn has_duration(&self) -> bool {
        self.format == AccessLogFormat::Json
    }

    /// Writes the head of a line with the current time. `request` is `None` if nothing is known of the request.
    pub(super) fn head(
        &self,
        head: &mut LineHead,
        remote: &str,
        request: Option<LoggedRequest<'_>>,
    ) {
        let fields = request.map(LoggedRequest::fields).unwrap_or_default();
        let user = fields.authorization.and_then(user);
        self.begin(head, remote, user.as_deref());
        let LineHead { text, split, .. } = head;
        match self.format {
            AccessLogFormat::Json => {
                self.write_json(text, request, fields);
                *split = text.len();
            }
            AccessLogFormat::Common | AccessLogFormat::Combined => {
                self.write_common(text, request);
                *split = text.len();
                if self.format == AccessLogFormat::Combined {
                    write_quoted(text, fields.referer, self.room / 4);
                    write_quoted(text, fields.user_agent, self.room / 8);
                }
                if self.has_request_id {
                    text.extend_from_slice(b" request_id=");
                    let id = request.and_then(LoggedRequest::id);
                    escape::word(text, id.unwrap_or(b"-"), REQUEST_ID);
                }
            }
        }
    }

    /// Writes the client's address, the user and the time, which are mostly the same as in the line before.
    fn begin(&self, head: &mut LineHead, remote: &str, user: Option<&[u8]>) {
        let now = second();
        if user.is_none() && head.second == Some(now) {
            head.text.truncate(head.begin);
            return;
        }
        let text = &mut head.text;
        text.clear();
        text.reserve(USUAL);
        let mut timestamp = self
            .timestamp
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let time = timestamp.at(now).as_bytes();
        let short = self.room / 32;
        match self.format {
            AccessLogFormat::Json => {
                text.extend_from_slice(b"{\"time\":\"");
                text.extend_from_slice(time);
                text.push(b'"');
                write_json_field(text, "remote", Some(remote.as_bytes()), short);
                write_json_field(text, "user", user, short);
            }
            AccessLogFormat::Common | AccessLogFormat::Combined => {
                text.extend_from_slice(remote.as_bytes());
                text.extend_from_slice(b" - ");
                match user {
                    Some(user) => escape::word(text, user, short),
                    None => text.push(b'-'),
                }
                text.extend_from_slice(b" [");
                text.extend_from_slice(time);
                text.extend_from_slice(b"] \"");
            }
        }
        head.begin = text.len();
        // The next request may have another user.
        head.second = user.is_none().then_some(now);
    }

    /// Adds a whole line to `out`.
    pub(super) fn line(&self, out: &mut Vec<u8>, head: &LineHead, outcome: Outcome) {
        let (begin, rest) = head.text.split_at(head.split);
        out.extend_from_slice(begin);
        let Outcome {
            status,
            bytes,
            received,
            duration,
            aborted,
        } = outcome;
        let status = status.map_or(NO_RESPONSE, |status| status.as_u16());
        match self.format {
            AccessLogFormat::Json => {
                out.extend_from_slice(b",\"status\":");
                put_number(out, status);
                out.extend_from_slice(b",\"bytes\":");
                put_number(out, bytes);
                if let Some(received) = received {
                    out.extend_from_slice(b",\"received\":");
                    put_number(out, received);
                }
                out.extend_from_slice(b",\"duration_us\":");
                put_number(out, duration.as_micros());
                out.extend_from_slice(b",\"aborted\":");
                out.extend_from_slice(if aborted { b"true" } else { b"false" });
            }
            AccessLogFormat::Common | AccessLogFormat::Combined => {
                put_number(out, status);
                out.push(b' ');
                if bytes == 0 {
                    out.push(b'-');
                } else {
                    put_number(out, bytes);
                }
            }
        }
        out.extend_from_slice(rest);
        if let Some(received) = received
            && self.format != AccessLogFormat::Json
        {
            let duration = duration.as_secs_f64();
            let more = format!(" received={received} duration={duration:.3}");
            out.extend_from_slice(more.as_bytes());
        }
        out.extend_from_slice(self.end.as_bytes());
    }

    fn write_common(&self, text: &mut Vec<u8>, request: Option<LoggedRequest<'_>>) {
        match request {
            Some(request) => {
                escape::quoted(text, request.method(), self.room / 32);
                text.push(b' ');
                request.with_target(|target| escape::quoted(text, target, self.room / 2));
                if !request.version().is_empty() {
                    text.push(b' ');
                    escape::quoted(text, request.version(), self.room / 32);
                }
            }
            None => text.push(b'-'),
        }
        text.extend_from_slice(b"\" ");
    }

    fn write_json(
        &self,
        text: &mut Vec<u8>,
        request: Option<LoggedRequest<'_>>,
        fields: Fields<'_>,
    ) {
        let mut field = |name: &str, value: Option<&[u8]>, limit| {
            write_json_field(text, name, value, limit);
        };
        let short = self.room / 32;
        let version = request.map(LoggedRequest::version);
        let version = version.filter(|version| !version.is_empty());
        let method = request.map(LoggedRequest::method);
        field("method", method, short);
        match request {
            Some(request) => {
                request.with_target(|target| field("target", Some(target), self.room / 2));
            }
            None => field("target", None, 0),
        }
        field("version", version, short);
        field("host", request.and_then(LoggedRequest::host), short);
        let referer = fields.referer.map(HeaderValue::as_bytes);
        let agent = fields.user_agent.map(HeaderValue::as_bytes);
        field("referer", referer, self.room / 4);
        field("user_agent", agent, self.room / 8);
        if self.has_request_id {
            field(
                "request_id",
                request.and_then(LoggedRequest::id),
                REQUEST_ID,
            );
        }
    }
}

fn write_quoted(text: &mut Vec<u8>, value: Option<&HeaderValue>, limit: usize) {
    text.extend_from_slice(b" \"");
    escape::quoted(text, value.map_or(b"-", HeaderValue::as_bytes), limit);
    text.push(b'"');
}

fn write_json_field(text: &mut Vec<u8>, name: &str, value: Option<&[u8]>, limit: usize) {
    text.extend_from_slice(b",\"");
    text.extend_from_slice(name.as_bytes());
    match value {
        Some(value) => {
            text.extend_from_slice(b"\":\"");
            escape::json(text, value, limit);
            text.push(b'"');
        }
        None => text.extend_from_slice(b"\":null"),
    }
}

fn put_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use std::process;

    use http::{Request, Uri, Version, header};

    use super::*;

    fn request(fields: &[(&str, &[u8])]) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_static("/a?b=c");
        for (name, value) in fields {
            let name = http::HeaderName::try_from(*name).unwrap();
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().append(name, value);
        }
        request
    }

    /// The time is the same in all lines.
    fn line(format: AccessLogFormat, request: Option<&Request<()>>, status: u16) -> String {
        let line_format = LineFormat::new(format, true, 3);
        let mut head = LineHead::default();
        line_format.head(&mut head, "192.0.2.7", request.map(Into::into));
        let outcome = Outcome {
            status: StatusCode::from_u16(status).ok(),
            bytes: 5,
            received: None,
            duration: Duration::from_micros(1234),
            aborted: status == 0,
        };
        let mut line = Vec::new();
        line_format.line(&mut line, &head, outcome);
        let mut line = String::from_utf8(line).unwrap();
        if format != AccessLogFormat::Json {
            let start = line.find(" [").unwrap();
            let end = start + line[start..].find("] \"").unwrap();
            assert_eq!(end - start, " [21/Aug/2026:12:00:00 +0000".len());
            line.replace_range(start + 2..end, "now");
        }
        line
    }

    fn json(request: Option<&Request<()>>, status: u16) -> serde_json::Value {
        let line = line(AccessLogFormat::Json, request, status);
        assert_eq!(line.matches('\n').count(), 1);
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn apaches_formats() {
        let request = request(&[
            ("authorization", b"Basic YW5uOnNlY3JldA=="),
            ("referer", b"http://example.com/"),
            ("user-agent", b"curl/8.5.0"),
        ]);
        assert_eq!(
            line(AccessLogFormat::Common, Some(&request), 200),
            "192.0.2.7 - ann [now] \"GET /a?b=c HTTP/1.1\" 200 5\n"
        );
        assert_eq!(
            line(AccessLogFormat::Combined, Some(&request), 200),
            "192.0.2.7 - ann [now] \"GET /a?b=c HTTP/1.1\" 200 5 \
             \"http://example.com/\" \"curl/8.5.0\"\n"
        );
    }

    #[test]
    fn what_is_not_known_is_a_hyphen() {
        assert_eq!(
            line(AccessLogFormat::Common, None, 400),
            "192.0.2.7 - - [now] \"-\" 400 5\n"
        );
        assert_eq!(
            line(AccessLogFormat::Combined, None, 0),
            "192.0.2.7 - - [now] \"-\" 499 5 \"-\" \"-\"\n"
        );
    }

    #[test]
    fn no_bytes_are_a_hyphen() {
        let line_format = LineFormat::new(AccessLogFormat::Common, true, 0);
        let outcome = Outcome {
            status: Some(StatusCode::NO_CONTENT),
            bytes: 0,
            received: None,
            duration: Duration::ZERO,
            aborted: false,
        };
        let mut line = Vec::new();
        let mut head = LineHead::default();
        line_format.head(&mut head, "unix", None);
        line_format.line(&mut line, &head, outcome);
        assert!(line.ends_with(b"\"-\" 204 -\n"));
    }

    #[test]
    fn json_has_everything() {
        let mut value = json(
            Some(&request(&[
                ("host", b"example.com"),
                ("authorization", b"Basic YW5uOnNlY3JldA=="),
                ("referer", b"http://example.com/"),
                ("user-agent", b"curl/8.5.0"),
            ])),
            200,
        );
        let time = value["time"].take();
        assert_eq!(time.as_str().unwrap().len(), "2026-08-21T12:00:00Z".len());
        assert_eq!(
            value,
            serde_json::json!({
                "time": null, "remote": "192.0.2.7", "user": "ann",
                "method": "GET", "target": "/a?b=c", "version": "HTTP/1.1", "host": "example.com",
                "referer": "http://example.com/", "user_agent": "curl/8.5.0",
                "status": 200, "bytes": 5, "duration_us": 1234, "aborted": false,
                "slot": 3, "pid": process::id(),
            })
        );
        let value = json(None, 0);
        for key in ["user", "method", "target", "version", "host", "referer"] {
            assert!(value.get(key).unwrap().is_null(), "{key}");
        }
        assert_eq!(value["status"], 499);
        assert_eq!(value["aborted"], true);
    }

    #[test]
    fn targets_of_every_form() {
        for (target, logged, host) in [
            ("/", "/", "field"),
            ("*", "*", "field"),
            ("/a?", "/a?", "field"),
            ("http://a:80/b?c", "http://a:80/b?c", "a:80"),
            ("a:443", "a:443", "a:443"),
        ] {
            let mut request = request(&[("host", b"field")]);
            *request.uri_mut() = target.parse().unwrap();
            *request.version_mut() = Version::HTTP_10;
            let line = line(AccessLogFormat::Common, Some(&request), 200);
            assert!(
                line.contains(&format!("\"GET {logged} HTTP/1.0\"")),
                "{line}"
            );
            assert_eq!(json(Some(&request), 200)["host"], host);
        }
    }

    #[test]
    fn no_request_forges_a_line_or_a_field() {
        // `x" 200 1 [\n127.0.0.1 - y:`, with `printf … | base64`.
        let user = b"Basic eCIgMjAwIDEgWwoxMjcuMC4wLjEgLSB5Og==";
        let mut request = request(&[
            ("host", b"a\",\"status\":200"),
            ("authorization", user),
            ("referer", b"a\" \"b\\"),
            ("user-agent", b"\\\" 200 1\xff\t"),
        ]);
        *request.uri_mut() = "/\"/\u{e9}".parse().unwrap();
        assert_eq!(
            line(AccessLogFormat::Combined, Some(&request), 404),
            "192.0.2.7 - x\\\"\\x20200\\x201\\x20[\\x0a127.0.0.1\\x20-\\x20y [now] \
             \"GET /\\\"/\\xc3\\xa9 HTTP/1.1\" 404 5 \"a\\\" \\\"b\\\\\" \"\\\\\\\" 200 1\\xff\\x09\"\n"
        );
        let value = json(Some(&request), 404);
        assert_eq!(value["user"], "x\" 200 1 [\n127.0.0.1 - y");
        assert_eq!(value["host"], "a\",\"status\":200");
        assert_eq!(value["target"], "/\"/\u{e9}");
        assert_eq!(value["user_agent"], "\\\" 200 1\u{fffd}\t");
        assert_eq!(value["status"], 404);
    }

    #[test]
    fn the_identifier_of_a_request_ends_its_line() {
        let request = request(&[("x-request-id", b"a-1")]);
        let end = |format, request: Option<&Request<()>>| {
            let line_format = LineFormat::new(format, true, 3).with_request_ids();
            let mut head = LineHead::default();
            line_format.head(&mut head, "192.0.2.7", request.map(Into::into));
            let mut line = Vec::new();
            let outcome = Outcome {
                status: Some(StatusCode::OK),
                bytes: 5,
                received: None,
                duration: Duration::ZERO,
                aborted: false,
            };
            line_format.line(&mut line, &head, outcome);
            String::from_utf8(line).unwrap()
        };
        for format in [AccessLogFormat::Common, AccessLogFormat::Combined] {
            let known = end(format, Some(&request));
            assert!(known.ends_with(" request_id=a-1\n"), "{known}");
            let unknown = end(format, None);
            assert!(unknown.ends_with(" request_id=-\n"), "{unknown}");
        }
        let json = |request| -> serde_json::Value {
            serde_json::from_str(&end(AccessLogFormat::Json, request)).unwrap()
        };
        assert_eq!(json(Some(&request))["request_id"], "a-1");
        assert!(json(None)["request_id"].is_null());
    }

    #[test]
    fn a_head_that_is_used_again_keeps_nothing_of_the_request_before() {
        let known = request(&[("authorization", b"Basic YW5uOnNlY3JldA==")]);
        let plain = request(&[("referer", b"here"), ("referer", b"there")]);
        let mut long = request(&[]);
        *long.uri_mut() = format!("/{}", "x".repeat(KEPT)).parse().unwrap();
        for format in [
            AccessLogFormat::Common,
            AccessLogFormat::Combined,
            AccessLogFormat::Json,
        ] {
            let line_format = LineFormat::new(format, true, 3);
            let mut head = LineHead::default();
            let requests = [Some(&known), Some(&plain), None, Some(&long), Some(&plain)];
            for request in requests.map(|request| request.map(LoggedRequest::from)) {
                // Until both are of one second.
                loop {
                    let mut new = LineHead::default();
                    line_format.head(&mut new, "192.0.2.7", request);
                    line_format.head(&mut head, "192.0.2.7", request);
                    if head.text == new.text && head.split == new.split {
                        break;
                    }
                    let times = [&head, &new].map(|head| head.second);
                    assert_ne!(
                        times[0],
                        times[1],
                        "{:?}",
                        String::from_utf8_lossy(&head.text)
                    );
                }
                head.forget_long();
                assert!(head.text.capacity() <= KEPT);
            }
            // The time is not that of before.
            let before = head.second.unwrap() - 1;
            head.second = Some(before);
            head.text[..head.begin].fill(b'#');
            line_format.head(&mut head, "192.0.2.7", Some((&plain).into()));
            assert!(!head.text.contains(&b'#'));
        }
    }

    #[test]
    fn the_longest_line_is_bounded() {
        let long = vec![0xff; 60_000];
        let names = ["host", "referer", "user-agent", "x-request-id"];
        let mut request = request(&names.map(|name| (name, &long[..])));
        // A user of as many line ends.
        let user = format!("Basic {}6", "CgoK".repeat(20_000));
        let user = HeaderValue::from_str(&format!("{user}g==")).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, user);
        *request.method_mut() = "x".repeat(60_000).parse().unwrap();
        *request.uri_mut() = format!("/{}", "\"".repeat(60_000)).parse().unwrap();
        let outcome = Outcome {
            status: None,
            bytes: u64::MAX,
            received: None,
            duration: Duration::MAX,
            aborted: false,
        };
        for format in [
            AccessLogFormat::Common,
            AccessLogFormat::Combined,
            AccessLogFormat::Json,
        ] {
            let line_format = LineFormat::new(format, false, usize::MAX).with_request_ids();
            let mut line = Vec::new();
            let remote = "x".repeat(39);
            let mut head = LineHead::default();
            line_format.head(&mut head, &remote, Some((&request).into()));
            line_format.line(&mut line, &head, outcome);
            assert!(line.len() <= PIPE_BUF, "{format:?}: {}", line.len());
            assert!(line.len() > PIPE_BUF / 3);
        }
        // A file has room for every target that is not refused.
        *request.uri_mut() = format!("/{}", "x".repeat(8191)).parse().unwrap();
        let line = line(AccessLogFormat::Common, Some(&request), 200);
        assert!(line.contains("x HTTP/1.1\" 200"));
    }
}
