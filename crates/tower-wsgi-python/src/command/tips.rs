//! Options of other servers, and what to use instead.

use super::pulsar_settings;

/// Options of gunicorn, uvicorn, waitress and uWSGI, and what to do instead.
const TIPS: &[(&[&str], &str)] = &[
    (
        &["--timeout", "--harakiri"],
        "use --request-timeout, the maximum time until the application starts its response, or \
         --heartbeat-timeout, after which a stuck worker is replaced",
    ),
    (
        &["--host", "--port", "--listen", "--http-socket", "--socket"],
        "use --bind with HOST:PORT or unix:PATH",
    ),
    (
        &["--keyfile", "--ssl-keyfile"],
        "use --tls-key, beside --tls-certificate",
    ),
    (
        &["--certfile", "--ssl-certfile"],
        "use --tls-certificate, beside --tls-key",
    ),
    (
        &["--ca-certs", "--ssl-ca-certs", "--ssl-ca"],
        "use --tls-client-ca, the certificates that issue those of clients",
    ),
    (
        &["--cert-reqs", "--ssl-cert-reqs", "--ssl-client-verify"],
        "use --tls-client-auth, with required or optional, beside --tls-client-ca",
    ),
    (
        &["--ssl-keyfile-password"],
        "use --tls-key-password-file, a file whose first line is the password",
    ),
    (
        &["--ssl-version", "--ssl-protocol-min"],
        "use --tls-min-version",
    ),
    (
        &["--threads"],
        "use --thread-workers, the number of threads in each worker",
    ),
    (&["--processes"], "use --workers"),
    (
        &["--worker-class", "-k"],
        "there is one kind of worker, with a pool of threads; choose their number with \
         --thread-workers, or use --greenlet in place of gevent",
    ),
    (
        &["--preload", "--preload-app"],
        "each worker imports the application itself, so that a reload finds new code; leave the \
         option out",
    ),
    (
        &["--access-logfile"],
        "use --access-log, with a file or \"-\"",
    ),
    (&["--error-logfile"], "use --log-file, with a file or \"-\""),
    (
        &["--access-logformat"],
        "use --access-log-format, with common, combined or json",
    ),
    (
        &["--daemon", "-D", "--daemonize"],
        "the server stays in the foreground; run it under a service manager, such as systemd",
    ),
    (
        &["--max-requests-jitter"],
        "leave it out: each worker takes up to a tenth less than --max-requests, by chance",
    ),
    (
        &["--limit-request-line", "--limit-request-field_size"],
        "use --max-header-size, the limit of the whole request head",
    ),
    (&["--limit-request-fields"], "use --max-headers"),
    (
        &["--max-request-body-size", "--limit-post"],
        "use --max-body",
    ),
    (&["--pid", "--pidfile"], "use --pid-file"),
    (
        &["--keep-alive", "--timeout-keep-alive"],
        "use --keep-alive-timeout",
    ),
    (
        &[
            "--worker-connections",
            "--limit-concurrency",
            "--connection-limit",
        ],
        "use --max-connections, the limit of each worker",
    ),
    (&["--limit-max-requests"], "use --max-requests"),
    (&["--timeout-graceful-shutdown"], "use --graceful-timeout"),
    (&["--root-path", "--url-prefix"], "use --script-name"),
    (&["--app-dir"], "use --chdir"),
    (&["--uid", "-u"], "use --user"),
    (&["--gid", "-g"], "use --group"),
    (&["--reload-extra-file"], "use --reload-dir"),
    (&["--chmod-socket"], "use --socket-mode"),
    (
        &["--factory", "--call"],
        "write the call after the module, such as mysite:create_app()",
    ),
    (
        &["--wsgi-file", "--module", "--wsgi"],
        "name the application without an option, such as mysite.wsgi:application",
    ),
    (
        &["--master"],
        "there is a supervisor whenever there are workers; leave the option out",
    ),
    (
        &["--proxy-headers", "--trusted-proxy"],
        "proxies on this machine are believed; name others with --forwarded-allow-ips",
    ),
    (
        &["--no-proxy-headers"],
        "use --forwarded-allow-ips with an empty value",
    ),
    (&["--trusted-proxy-headers"], "use --forwarded-headers"),
    (
        &["--worker-tmp-dir"],
        "workers send their heartbeats through a socket and need no directory; leave the option out",
    ),
];

/// What to do instead of this option, if another server has it.
pub(super) fn tip(option: &str) -> Option<String> {
    let tip = TIPS.iter().find(|(options, _)| options.contains(&option));
    let tip = tip.map(|(_, tip)| (*tip).to_owned());
    tip.or_else(|| pulsar_settings::tip(option))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::command::args::Command;

    #[test]
    fn a_tip_names_options_that_there_are_for_one_that_there_is_not() {
        let command = Command::command();
        let mut ours = BTreeSet::new();
        for argument in command.get_arguments() {
            ours.extend(argument.get_long().map(|name| format!("--{name}")));
            ours.extend(argument.get_short().map(|name| format!("-{name}")));
        }
        let mut seen = BTreeSet::new();
        for (options, tip) in TIPS {
            for option in *options {
                assert!(!ours.contains(*option), "{option} is ours");
                assert!(seen.insert(option), "{option} is there twice");
            }
            for word in tip
                .split([' ', ',', ';', ':'])
                .filter(|word| word.starts_with("--"))
            {
                assert!(ours.contains(word), "{word} is none of ours");
            }
        }
    }
}
