//! Tickets with which clients resume a session: all processes that have the same keys accept them.

use std::fmt;

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::server::ProducesTickets;

use crate::BoxError;

/// The keys are to be rotated after this time, so that a ticket is accepted for one to two of them.
const ROTATION: std::time::Duration = std::time::Duration::from_secs(6 * 60 * 60);

const NAME_LEN: usize = 16;
const TAG_LEN: usize = 16;

/// The longest ticket that is looked at: a session with the certificates of a client.
const LONGEST: usize = 32 << 10;

/// Keys with which tickets are encrypted.
///
/// There are three: the one that encrypts, the one before it, and the next one, which a process may already use while others
/// have not rotated yet.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKeys {
    next: TicketKey,
    current: TicketKey,
    previous: TicketKey,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TicketKey {
    name: [u8; NAME_LEN],
    secret: [u8; 32],
}

impl TicketKeys {
    /// The keys are to be rotated after this time.
    pub const ROTATION: std::time::Duration = ROTATION;

    /// New keys.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn new() -> Result<Self, BoxError> {
        Ok(Self {
            next: TicketKey::new()?,
            current: TicketKey::new()?,
            previous: TicketKey::new()?,
        })
    }

    /// Forgets the oldest key, and encrypts with the next one.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers. The keys stay.
    pub fn rotate(&mut self) -> Result<(), BoxError> {
        let new = TicketKey::new()?;
        let next = std::mem::replace(&mut self.next, new);
        self.previous = std::mem::replace(&mut self.current, next);
        Ok(())
    }
}

/// Without the keys.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

impl TicketKey {
    fn new() -> Result<Self, BoxError> {
        let random = SystemRandom::new();
        let mut key = Self {
            name: [0; NAME_LEN],
            secret: [0; 32],
        };
        let filled = random
            .fill(&mut key.name)
            .and_then(|()| random.fill(&mut key.secret));
        filled.map_err(|_| "the system has no random numbers")?;
        Ok(key)
    }
}

/// Makes and reads tickets.
///
/// A ticket is the name of its key, a nonce, and the session, encrypted and authenticated together with the context.
pub(super) struct Ticketer {
    random: SystemRandom,
    /// The first one encrypts.
    keys: [([u8; NAME_LEN], LessSafeKey); 3],
    context: Vec<u8>,
}

impl Ticketer {
    /// A ticket is accepted only where the context is the same: the rules for the certificates of clients, because a client that
    /// resumes a session is not asked for its certificate again.
    pub(super) fn new(keys: &TicketKeys, context: &[u8]) -> Result<Self, BoxError> {
        let key = |key: &TicketKey| {
            let secret = UnboundKey::new(&CHACHA20_POLY1305, &key.secret);
            let secret = secret.map_err(|_| "a key of tickets has a wrong length")?;
            Ok::<_, BoxError>((key.name, LessSafeKey::new(secret)))
        };
        Ok(Self {
            random: SystemRandom::new(),
            keys: [key(&keys.current)?, key(&keys.next)?, key(&keys.previous)?],
            context: context.to_owned(),
        })
    }

    fn authenticated(&self, name: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([name, &self.context].concat())
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    /// In seconds.
    fn lifetime(&self) -> u32 {
        2 * ROTATION.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (name, key) = &self.keys[0];
        // Chosen by chance, because the processes do not share a counter.
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut ticket = [name, &nonce[..], plain].concat();
        let (_, session) = ticket.split_at_mut(NAME_LEN + NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, self.authenticated(name), session);
        ticket.extend_from_slice(tag.ok()?.as_ref());
        (ticket.len() <= LONGEST).then_some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if !(NAME_LEN + NONCE_LEN + TAG_LEN..=LONGEST).contains(&ticket.len()) {
            return None;
        }
        let (name, rest) = ticket.split_at(NAME_LEN);
        let (nonce, session) = rest.split_at(NONCE_LEN);
        // The name is no secret.
        let (_, key) = self.keys.iter().find(|(own, _)| own == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut session = session.to_vec();
        let plain = key.open_in_place(nonce, self.authenticated(name), &mut session);
        let length = plain.ok()?.len();
        session.truncate(length);
        Some(session)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticketer(keys: &TicketKeys) -> Ticketer {
        Ticketer::new(keys, b"context").unwrap()
    }

    #[test]
    fn a_ticket_is_accepted_where_the_keys_are_the_same() {
        let keys = TicketKeys::new().unwrap();
        let ticket = ticketer(&keys).encrypt(b"session").unwrap();
        let message = serde_json::to_string(&keys).unwrap();
        let sent: TicketKeys = serde_json::from_str(&message).unwrap();
        assert_eq!(ticketer(&sent).decrypt(&ticket).unwrap(), b"session");
        assert_ne!(ticketer(&sent).encrypt(b"session").unwrap(), ticket);
        let others = ticketer(&TicketKeys::new().unwrap());
        assert_eq!(others.decrypt(&ticket), None);
        let elsewhere = Ticketer::new(&keys, b"other").unwrap();
        assert_eq!(elsewhere.decrypt(&ticket), None);
        assert!(!format!("{keys:?}").contains('['));
    }

    #[test]
    fn a_changed_ticket_is_none() {
        let ticketer = ticketer(&TicketKeys::new().unwrap());
        let ticket = ticketer.encrypt(b"session").unwrap();
        for index in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[index] ^= 1;
            assert_eq!(ticketer.decrypt(&changed), None, "{index}");
            assert_eq!(ticketer.decrypt(&ticket[..index]), None, "{index}");
        }
        assert_eq!(ticketer.decrypt(&vec![0; LONGEST + 1]), None);
        assert_eq!(ticketer.encrypt(&vec![0; LONGEST]), None);
    }

    #[test]
    fn a_ticket_is_accepted_for_one_rotation_before_and_after() {
        let mut keys = TicketKeys::new().unwrap();
        let late = ticketer(&keys);
        let ticket = late.encrypt(b"session").unwrap();
        keys.rotate().unwrap();
        let rotated = ticketer(&keys);
        assert!(rotated.decrypt(&ticket).is_some());
        // The other process has not rotated yet.
        let new = rotated.encrypt(b"session").unwrap();
        assert!(late.decrypt(&new).is_some());
        keys.rotate().unwrap();
        assert!(ticketer(&keys).decrypt(&ticket).is_none());
        assert!(ticketer(&keys).decrypt(&new).is_some());
    }
}
