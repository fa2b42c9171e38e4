//! A client that attacks, and connects again when its connection is closed.

use std::{
    fmt,
    io::Write,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tests::http2::{Frame, PREFACE, kind};

use super::kinds::Attack;

/// It does not have to wait for long, if the server reads no more.
const WRITE: Duration = Duration::from_millis(200);

pub(super) struct Attacker {
    stop: Arc<AtomicBool>,
    ends: Arc<AtomicUsize>,
    thread: JoinHandle<AttackReport>,
}

/// What an attack has come to.
#[derive(Debug, Default)]
pub(super) struct AttackReport {
    pub(super) bytes: usize,
    /// The connections that the server has closed.
    pub(super) ends: usize,
    /// The error codes of GOAWAY, each once.
    codes: Vec<u32>,
}

impl Attacker {
    pub(super) fn start(address: SocketAddr, attack: &Attack) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::new(AtomicUsize::new(0));
        let thread = {
            let (stop, ends, attack) = (stop.clone(), ends.clone(), attack.clone());
            thread::spawn(move || {
                let mut report = AttackReport::default();
                while !stop.load(Relaxed) {
                    if attack_once(address, &attack, &stop, &mut report) {
                        ends.fetch_add(1, Relaxed);
                    }
                }
                report.ends = ends.load(Relaxed);
                report
            })
        };
        Self { stop, ends, thread }
    }

    /// How many connections the server has closed.
    pub(super) fn ends(&self) -> usize {
        self.ends.load(Relaxed)
    }

    pub(super) fn stop(self) -> AttackReport {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

impl fmt::Display for AttackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kib, ends, codes) = (self.bytes >> 10, self.ends, &self.codes);
        write!(
            f,
            "{kib} KiB sent, {ends} connections closed, by the codes {codes:?}"
        )
    }
}

/// Attacks over one connection. Returns whether the server has closed it.
fn attack_once(
    address: SocketAddr,
    attack: &Attack,
    stop: &AtomicBool,
    report: &mut AttackReport,
) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    stream.set_write_timeout(Some(WRITE)).unwrap();
    let is_closed = Arc::new(AtomicBool::new(false));
    let codes = Arc::new(Mutex::new(Vec::new()));
    let reader = attack.reads.then(|| {
        let mut stream = stream.try_clone().unwrap();
        let (is_closed, codes) = (is_closed.clone(), codes.clone());
        thread::spawn(move || {
            while let Ok(frame) = Frame::read(&mut stream) {
                if frame.kind == kind::GOAWAY {
                    codes.lock().unwrap().push(frame.number(4));
                }
            }
            is_closed.store(true, Relaxed);
        })
    });

    let start = [
        PREFACE,
        &Frame::settings(attack.settings).bytes(),
        &attack.first,
    ]
    .concat();
    let mut is_ended = send(&mut stream, &start, stop, report);
    let mut next = 1;
    while !is_ended && !stop.load(Relaxed) {
        is_ended =
            is_closed.load(Relaxed) || send(&mut stream, &(attack.more)(&mut next), stop, report);
        thread::sleep(attack.pause);
    }
    // Otherwise the reader would wait.
    let _ = stream.shutdown(Shutdown::Both);
    if let Some(reader) = reader {
        reader.join().unwrap();
    }
    for code in codes.lock().unwrap().drain(..) {
        if !report.codes.contains(&code) {
            report.codes.push(code);
        }
    }
    is_ended
}

/// Sends all of it, also to a server that does not read for a while. Returns whether the connection is closed.
fn send(
    stream: &mut TcpStream,
    mut bytes: &[u8],
    stop: &AtomicBool,
    report: &mut AttackReport,
) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};

    while !bytes.is_empty() && !stop.load(Relaxed) {
        match stream.write(bytes) {
            Ok(written) => {
                report.bytes += written;
                bytes = &bytes[written..];
            }
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => {}
            Err(_) => return true,
        }
    }
    false
}
