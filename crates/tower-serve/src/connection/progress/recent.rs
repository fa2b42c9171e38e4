//! What a client has sent last, for what hyper does not tell of it.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use http::{Method, Uri};

use super::chunk_lines::ChunkLines;

/// A request line that is not refused is shorter.
const MOST: usize = 9 << 10;

/// The beginning of what was read since the last request was received: hyper keeps nothing of a head that it refuses,
/// hides a fragment, and what is wrong with the lines of a chunked body.
#[derive(Debug, Default)]
pub(in crate::connection) struct Recent {
    state: Mutex<State>,
    has_bad_chunks: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// The requests that had been received.
    calls: u64,
    /// Of the body that is being received.
    chunks: Option<ChunkLines>,
}

impl Recent {
    pub(in crate::connection) fn add(&self, bytes: &[u8], calls: u64) {
        let state = &mut *self.lock();
        if state.calls != calls {
            state.calls = calls;
            state.bytes.clear();
        }
        let room = MOST.saturating_sub(state.bytes.len());
        let kept = &bytes[..bytes.len().min(room)];
        state.bytes.extend_from_slice(kept);
        if let Some(chunks) = &mut state.chunks
            && !chunks.read(bytes)
        {
            self.has_bad_chunks.store(true, Relaxed);
        }
    }

    /// The body of the `call`th request is chunked. Where it begins is known if the request was not sent behind another,
    /// and came with a head of usual size.
    pub(in crate::connection) fn begin_body(&self, call: u64, is_chunked: bool) {
        if !is_chunked && !self.has_bad_chunks.load(Relaxed) {
            return;
        }
        let mut state = self.lock();
        state.chunks = None;
        self.has_bad_chunks.store(false, Relaxed);
        if !is_chunked || call != state.calls + 1 || state.bytes.len() == MOST {
            return;
        }
        let mut blank = state.bytes.windows(3).enumerate();
        let begin = blank.find_map(|(at, bytes)| match bytes {
            [b'\n', b'\n', _] => Some(at + 2),
            b"\n\r\n" => Some(at + 3),
            _ => None,
        });
        let mut chunks = ChunkLines::default();
        // The last two may be the blank line.
        let rest = state.bytes.get(begin.unwrap_or(state.bytes.len())..);
        if !chunks.read(rest.unwrap_or_default()) {
            self.has_bad_chunks.store(true, Relaxed);
        }
        state.chunks = Some(chunks);
    }

    /// Whether a line of the current body is not valid.
    pub(in crate::connection) fn has_bad_chunks(&self) -> bool {
        self.has_bad_chunks.load(Relaxed)
    }

    /// Gives it away.
    pub(in crate::connection) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    /// Whether the target of this request, the `call`th of its connection, was sent with a fragment. In a request that followed another one so early that
    /// its head came in two pieces, it is not seen.
    pub(in crate::connection) fn has_fragment(
        &self,
        call: u64,
        method: &Method,
        target: &Uri,
    ) -> bool {
        let state = self.lock();
        let is_first = call == state.calls + 1;
        let path = target.path_and_query().map_or("", |path| path.as_str());
        let is_path = target.authority().is_none();
        if is_first && is_path {
            // hyper has parsed this line: where the target ends with its path, a space follows, and where it does not, a
            // fragment. Only an empty line before it would shift it.
            let begin = method.as_str().len();
            let byte = |at: usize| state.bytes.get(at).copied();
            if byte(begin) == Some(b' ') && byte(begin + 1) == path.bytes().next() {
                return byte(begin + 1 + path.len()) == Some(b'#');
            }
        }
        // Behind another one, or with an absolute target.
        if !state.bytes.contains(&b'#') {
            return false;
        }
        let target = target.to_string();
        let lines = state.bytes.split(|byte| *byte == b'\n');
        // An absolute target without a path has got one.
        let targets = [target.as_str(), target.trim_end_matches('/')];
        lines.into_iter().any(|line| {
            let next = |target: &&str| after(line, method, target) == Some(b'#');
            targets.iter().any(next)
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What follows the target in a request line.
fn after(line: &[u8], method: &Method, target: &str) -> Option<u8> {
    let rest = line.strip_prefix(method.as_str().as_bytes())?;
    let rest = rest.strip_prefix(b" ")?.strip_prefix(target.as_bytes())?;
    rest.first().copied()
}
