//! The list of the digested documents.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;

/// The maximum length of the list.
const REMEMBERED: usize = 100;

/// One document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Document {
    pub(crate) name: Option<String>,
    pub(crate) length: u64,
    pub(crate) sha256: String,
}

/// The latest documents, newest first. Clones are handles of the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents(Arc<Mutex<VecDeque<Document>>>);

impl Documents {
    pub(crate) fn add(&self, document: Document) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.truncate(REMEMBERED - 1);
        latest.push_front(document);
    }

    pub(crate) fn latest(&self) -> Vec<Document> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_are_remembered() {
        let documents = Documents::default();
        for length in 0..REMEMBERED as u64 + 5 {
            documents.add(Document {
                name: None,
                length,
                sha256: String::new(),
            });
        }
        let latest = documents.latest();
        assert_eq!(latest.len(), REMEMBERED);
        assert_eq!(latest[0].length, REMEMBERED as u64 + 4);
    }
}
