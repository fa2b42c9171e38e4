use super::Config;

/// The one value of a setting that belongs to the whole program, if any of the servers has one.
/// The error is a sentence for the operator: two servers have different ones.
pub(crate) fn of_program<'a, T: PartialEq + ?Sized>(
    configs: impl IntoIterator<Item = &'a Config>,
    name: &str,
    get: impl Fn(&'a Config) -> Option<&'a T>,
) -> Result<Option<&'a T>, String> {
    let mut values = configs.into_iter().filter_map(get);
    let first = values.next();
    if values.any(|other| Some(other) != first) {
        return Err(format!(
            "two servers differ in {name}, which belongs to the whole program; \
             give both the same, or only one of them any"
        ));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pid_file(path: &str) -> Config {
        Config {
            pid_file: Some(path.into()),
            ..Config::default()
        }
    }

    fn pid_file(configs: &[Config]) -> Result<Option<&str>, String> {
        of_program(configs, "pid_file", |config| {
            config.pid_file.as_ref()?.to_str()
        })
    }

    #[test]
    fn one_server_may_speak_for_the_program() {
        assert_eq!(pid_file(&[]), Ok(None));
        assert_eq!(pid_file(&[Config::default()]), Ok(None));
        let configs = [Config::default(), with_pid_file("a"), with_pid_file("a")];
        assert_eq!(pid_file(&configs), Ok(Some("a")));
    }

    #[test]
    fn servers_that_differ_are_refused() {
        let configs = [
            with_pid_file("a"),
            Config::default(),
            with_pid_file("b"),
            with_pid_file("a"),
        ];
        assert!(
            pid_file(&configs)
                .unwrap_err()
                .starts_with("two servers differ in pid_file, ")
        );
    }
}
