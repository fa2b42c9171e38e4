//! Where the certificates and keys are: the files of the settings, and those in directories.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::Tls;
use crate::InvalidSetting;

/// The most certificates of a server.
const MOST: usize = 1000;

/// The names of a certificate chain and its key in a directory: those of certbot, and those of Kubernetes.
const NAMES: [(&str, &str); 2] = [("fullchain.pem", "privkey.pem"), ("tls.crt", "tls.key")];

/// The files that the settings name, and those that their directories have at the moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Each certificate with its key.
    pub(super) pairs: Vec<(PathBuf, PathBuf)>,
    others: Vec<PathBuf>,
}

/// Which files there are, and what each is: two of them differ if a file has changed in between.
#[derive(Debug, PartialEq, Eq)]
pub struct FileStates {
    places: Option<Places>,
    states: Vec<Option<FileState>>,
}

/// Device, inode, size, and the time of the last change: links are followed, so one that is replaced is a change.
type FileState = [i64; 5];

impl Places {
    pub(super) fn of(tls: &Tls) -> Result<Self, InvalidSetting> {
        let mut pairs = Vec::new();
        let mut keys = tls.keys.iter();
        for certificate in &tls.certificates {
            if certificate.is_dir() {
                pairs.extend(in_directory(certificate)?);
            } else if let Some(key) = keys.next() {
                pairs.push((certificate.clone(), key.clone()));
            } else if tls.keys.is_empty() {
                return Err(of_certificate(
                    "tls_certificate is given and tls_key is not; give both, or none".into(),
                ));
            } else {
                return Err(of_certificate(format!(
                    "there is no tls_key for the certificate {}; give one for each certificate, in the same order",
                    certificate.display()
                )));
            }
        }
        if let Some(key) = keys.next() {
            return Err(InvalidSetting {
                setting: "tls_key",
                problem: format!(
                    "there is no tls_certificate for the key {}; give one for each key, in the same order",
                    key.display()
                ),
            });
        }
        if pairs.len() > MOST {
            return Err(of_certificate(format!(
                "{} certificates are too many; give at most {MOST}",
                pairs.len()
            )));
        }
        let others = [&tls.client_ca, &tls.key_password_file];
        Ok(Self {
            pairs,
            others: others.into_iter().flatten().cloned().collect(),
        })
    }
}

impl FileStates {
    pub(super) fn of(tls: &Tls) -> Self {
        let places = Places::of(tls).ok();
        let files = places.iter().flat_map(|places| {
            let pairs = places.pairs.iter();
            let pairs = pairs.flat_map(|(certificate, key)| [certificate, key]);
            pairs.chain(&places.others)
        });
        let states = files.map(|path| state(path)).collect();
        Self { places, states }
    }
}

/// The state of a file, if there is one.
fn state(path: &Path) -> Option<FileState> {
    let file = fs::metadata(path).ok()?;
    Some([
        file.dev().cast_signed(),
        file.ino().cast_signed(),
        file.size().cast_signed(),
        file.ctime(),
        file.ctime_nsec(),
    ])
}

/// The pairs of a directory, and of the directories in it.
fn in_directory(directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>, InvalidSetting> {
    if let Some(pair) = pair_of(directory) {
        return Ok(vec![pair]);
    }
    let name = directory.display();
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries
        .map_err(|error| of_certificate(format!("cannot read the directory {name}: {error}")))?;
    // Hidden ones have the earlier versions of a mounted secret.
    let is_hidden = |entry: &&fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    let entries = entries.iter().filter(|entry| !is_hidden(entry));
    let mut entries: Vec<_> = entries.map(fs::DirEntry::path).collect();
    entries.sort_unstable();
    let pairs: Vec<_> = entries.iter().filter_map(|path| pair_of(path)).collect();
    if pairs.is_empty() {
        return Err(of_certificate(format!(
            "there is no certificate in the directory {name}; put fullchain.pem and privkey.pem, or tls.crt and tls.key, \
             into it or into directories in it"
        )));
    }
    Ok(pairs)
}

/// The pair in a directory, if both files are there.
fn pair_of(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut pairs = NAMES
        .iter()
        .map(|(certificate, key)| (directory.join(certificate), directory.join(key)));
    pairs.find(|(certificate, key)| certificate.is_file() && key.is_file())
}

fn of_certificate(problem: String) -> InvalidSetting {
    InvalidSetting {
        setting: "tls_certificate",
        problem,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tls(certificates: &[&Path], keys: &[&Path]) -> Tls {
        let owned = |paths: &[&Path]| paths.iter().map(PathBuf::from).collect();
        Tls {
            certificates: owned(certificates),
            keys: owned(keys),
            ..Tls::without_files()
        }
    }

    #[test]
    fn files_and_directories_are_paired() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (name, certificate, key) in [
            ("b", "tls.crt", "tls.key"),
            ("a", "fullchain.pem", "privkey.pem"),
            ("c", "fullchain.pem", "other.pem"),
            (".old", "tls.crt", "tls.key"),
        ] {
            fs::create_dir(root.join(name)).unwrap();
            for file in [certificate, key] {
                fs::write(root.join(name).join(file), "").unwrap();
            }
        }
        fs::write(root.join("README"), "").unwrap();
        let (one, key) = (Path::new("1.pem"), Path::new("1.key"));
        let places = Places::of(&tls(&[root, one, &root.join("b")], &[key])).unwrap();
        let names = places.pairs.iter().map(|(one, key)| {
            let name = |path: &Path| {
                let path = path.strip_prefix(root).unwrap_or(path);
                path.display().to_string()
            };
            format!("{} {}", name(one), name(key))
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "a/fullchain.pem a/privkey.pem",
                "b/tls.crt b/tls.key",
                "1.pem 1.key",
                "b/tls.crt b/tls.key"
            ]
        );

        let refused = |certificates: &[&Path], keys: &[&Path]| {
            let error = Places::of(&tls(certificates, keys)).unwrap_err();
            format!("{}: {}", error.setting, error.problem)
        };
        assert!(refused(&[one], &[]).contains("tls_key is not"));
        assert!(refused(&[one, one], &[key]).contains("for the certificate 1.pem"));
        assert!(refused(&[one], &[key, key]).starts_with("tls_key: there is no tls_certificate"));
        assert!(refused(&[&root.join("c")], &[]).contains("put fullchain.pem"));
        let many = vec![one; MOST + 1];
        assert!(refused(&many, &vec![key; MOST + 1]).contains("1001 certificates are too many"));
    }

    #[test]
    fn a_link_that_is_replaced_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["old", "new", "key"] {
            fs::write(path(name), "same").unwrap();
        }
        symlink(path("old"), path("link")).unwrap();
        let tls = tls(&[&path("link")], &[&path("key")]);
        let before = tls.file_states();
        assert_eq!(before, tls.file_states());
        symlink(path("new"), path("next")).unwrap();
        fs::rename(path("next"), path("link")).unwrap();
        let after = tls.file_states();
        assert_ne!(before, after);
        fs::remove_file(path("key")).unwrap();
        assert_ne!(after, tls.file_states());
    }
}
