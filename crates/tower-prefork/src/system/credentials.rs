//! The user and the group that workers run as.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown, lchown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use nix::unistd::{Gid, Group, Uid, User};

use crate::listener::{Bound, Listener, LocalAddress};

/// The user and the group that workers run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    uid: Uid,
    gid: Gid,
}

impl Credentials {
    /// Looks up a user and a group, by name or number. `None` if this process already runs as them. The
    /// error is a sentence for the operator.
    pub(crate) fn of(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, String> {
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        let group = group.map(find_group).transpose()?;
        let wanted = match user {
            Some(user) => Self::of_user(user, group)?,
            None => Self {
                uid: Uid::effective(),
                gid: group.unwrap_or_else(Gid::effective),
            },
        };
        let own = Self {
            uid: Uid::effective(),
            gid: Gid::effective(),
        };
        if own.uid.is_root() {
            return Ok(Some(wanted));
        }
        if wanted == own {
            return Ok(None);
        }
        Err(
            "only root can start workers as another user or in another group; \
             start the program as root, or leave user and group out"
                .into(),
        )
    }

    fn of_user(user: &str, group: Option<Gid>) -> Result<Self, String> {
        if let Some(known) = lookup(user, User::from_name, User::from_uid, Uid::from_raw)? {
            return Ok(Self {
                uid: known.uid,
                gid: group.unwrap_or(known.gid),
            });
        }
        let Ok(uid) = user.parse() else {
            return Err(format!("there is no user {user:?} on this machine"));
        };
        let gid = group.ok_or_else(|| {
            format!(
                "the user {uid} is unknown on this machine and has no group; set a group as well"
            )
        })?;
        Ok(Self {
            uid: Uid::from_raw(uid),
            gid,
        })
    }

    /// Makes a program run as this user and group, without supplementary groups.
    pub(crate) fn assume(&self, command: &mut Command) {
        command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
    }

    /// Why this user may not use `path`, a program or a directory: a sentence for the operator, which names the file that
    /// the user may not enter or execute. `None` if there is no such file.
    pub(crate) fn obstacle(&self, path: &Path) -> Option<String> {
        // A symbolic link in the path leads through other directories.
        let real = fs::canonicalize(path).ok();
        let ways = [Some(path), real.as_deref()];
        let mut places: Vec<_> = ways
            .into_iter()
            .flatten()
            .flat_map(Path::ancestors)
            .collect();
        // The outermost first.
        places.sort_by_key(|place| place.as_os_str().len());
        let place = places.into_iter().find(|place| self.is_barred(place))?;
        let user = User::from_uid(self.uid).ok().flatten();
        let user = user.map_or_else(|| self.uid.to_string(), |user| user.name);
        let purpose = if place == path {
            String::new()
        } else {
            format!(", which is needed for {}", path.display())
        };
        Some(format!(
            "the user {user} has no permission to enter or execute {}{purpose}; grant it, or choose \
             another user or path",
            place.display(),
        ))
    }

    /// Whether the user may not enter or execute the file. Its mode alone decides, as there are no supplementary groups.
    fn is_barred(&self, place: &Path) -> bool {
        let Ok(file) = fs::metadata(place) else {
            return false;
        };
        let bit = if file.uid() == self.uid.as_raw() {
            0o100
        } else if file.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        !self.uid.is_root() && file.mode() & bit == 0
    }

    /// Makes the user own the socket files of these listeners.
    pub(crate) fn give_sockets(&self, bound: &Bound) -> Result<(), String> {
        for path in bound.listeners.iter().filter_map(socket_path) {
            lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
                .map_err(|error| self.cannot_give(path, &error))?;
        }
        Ok(())
    }

    /// Makes the user own a file that the workers open. A device or a pipe keeps its owner.
    pub(crate) fn give_file(&self, path: &Path) -> Result<(), String> {
        if !path.is_file() {
            return Ok(());
        }
        chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
            .map_err(|error| self.cannot_give(path, &error))
    }

    fn cannot_give(&self, path: &Path, error: &std::io::Error) -> String {
        format!(
            "cannot change the owner of {} to user {} and group {}: {error}",
            path.display(),
            self.uid,
            self.gid
        )
    }
}

fn socket_path(listener: &Listener) -> Option<&Path> {
    // The service manager decides who owns the files of the sockets that it passes.
    listener.address()?;
    match listener.local() {
        LocalAddress::Unix(path) => path.as_deref(),
        LocalAddress::Tcp(_) => None,
    }
}

fn find_group(group: &str) -> Result<Gid, String> {
    if let Some(known) = lookup(group, Group::from_name, Group::from_gid, Gid::from_raw)? {
        return Ok(known.gid);
    }
    let number = group.parse().map(Gid::from_raw);
    number.map_err(|_| format!("there is no group {group:?} on this machine"))
}

/// Looks up a name, which may look like a number, and then a number.
fn lookup<T, I>(
    text: &str,
    by_name: impl Fn(&str) -> nix::Result<Option<T>>,
    by_number: impl Fn(I) -> nix::Result<Option<T>>,
    number: impl Fn(u32) -> I,
) -> Result<Option<T>, String> {
    let cannot = |error| format!("cannot look {text:?} up among the users and groups: {error}");
    if let Some(found) = by_name(text).map_err(cannot)? {
        return Ok(Some(found));
    }
    match text.parse() {
        Ok(id) => by_number(number(id)).map_err(cannot),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ids(user: &str, group: Option<&str>) -> Result<(u32, u32), String> {
        let group = group.map(find_group).transpose()?;
        let credentials = Credentials::of_user(user, group)?;
        Ok((credentials.uid.as_raw(), credentials.gid.as_raw()))
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(ids("root", None), Ok((0, 0)));
        assert_eq!(ids("0", None), Ok((0, 0)));
        assert_eq!(ids("root", Some("54321")), Ok((0, 54321)));
        assert_eq!(ids("4294967000", Some("root")), Ok((4_294_967_000, 0)));
    }

    #[test]
    fn an_unknown_user_or_group_is_refused() {
        assert_eq!(
            ids("n.n.", None).unwrap_err(),
            "there is no user \"n.n.\" on this machine"
        );
        assert_eq!(
            ids("root", Some("n.n.")).unwrap_err(),
            "there is no group \"n.n.\" on this machine"
        );
        let error = ids("4294967000", None).unwrap_err();
        assert!(error.ends_with("set a group as well"), "{error}");
    }

    #[test]
    fn a_file_that_the_user_may_not_use_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("private");
        fs::create_dir(&place).unwrap();
        let program = place.join("program");
        fs::write(&program, "").unwrap();
        let allow = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        // Neither the owner nor in the group.
        let stranger = Credentials {
            uid: Uid::from_raw(4_294_967_000),
            gid: Gid::from_raw(4_294_967_000),
        };
        allow(directory.path(), 0o755);
        allow(&place, 0o700);
        allow(&program, 0o755);
        let obstacle = stranger.obstacle(&program).unwrap();
        let expected = format!(
            "the user 4294967000 has no permission to enter or execute {}, which is needed for {};",
            place.display(),
            program.display()
        );
        assert!(obstacle.starts_with(&expected), "{obstacle}");
        allow(&place, 0o711);
        assert_eq!(stranger.obstacle(&program), None);
        allow(&program, 0o644);
        let obstacle = stranger.obstacle(&program).unwrap();
        let expected = format!("execute {}; ", program.display());
        assert!(obstacle.contains(&expected), "{obstacle}");
    }

    #[test]
    fn the_own_user_needs_no_root() {
        assert_eq!(Credentials::of(None, None), Ok(None));
        let own = Uid::effective().to_string();
        let group = Gid::effective().to_string();
        assert!(Credentials::of(Some(&own), Some(&group)).is_ok());
    }
}
