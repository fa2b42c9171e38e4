use tests::{Client, Port, Signal, wait_until};

use crate::probe;

const OPTIONS: [&str; 33] = [
    "config",
    "bind",
    "workers",
    "thread-workers",
    "backlog",
    "max-connections",
    "graceful-timeout",
    "start-timeout",
    "heartbeat-timeout",
    "shutdown-delay",
    "readiness-path",
    "max-requests",
    "max-lifetime",
    "max-rss",
    "pid-file",
    "control-socket",
    "user",
    "group",
    "umask",
    "socket-mode",
    "request-timeout",
    "header-timeout",
    "keep-alive-timeout",
    "body-timeout",
    "write-timeout",
    "max-headers",
    "max-header-size",
    "reload-dir",
    "access-log",
    "access-log-format",
    "log-file",
    "log-format",
    "log-level",
];

#[test]
fn the_help_shows_every_option_with_its_variable_and_default() {
    let (code, help) = probe("--help").run();
    assert_eq!(code, Some(0));
    // Lines are broken to the width of the terminal.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for option in OPTIONS {
        let variable = option.to_uppercase().replace('-', "_");
        let start = help.find(&format!("--{option} "));
        let help = &help[start.unwrap_or_else(|| panic!("{option} is missing"))..];
        let next = help[2..].find(" --").map_or(help.len(), |end| end + 2);
        let help = &help[..next];
        assert!(
            help.contains(&format!("[env: TOWER_PREFORK_{variable}=")),
            "{help}"
        );
        assert!(help.contains("[default: "), "{help}");
    }
}

#[test]
fn the_environment_configures_and_the_command_line_wins() {
    let program = probe("-w 1 -b 127.0.0.1:0");
    let running = program
        .env("TOWER_PREFORK_BIND", "127.0.0.1:1,127.0.0.1:2")
        .env("TOWER_PREFORK_WORKERS", "3")
        .start();
    let _ = running.ready();
    assert_eq!(running.workers().len(), 1);

    let running = tests::Program::new(env!("CARGO_BIN_EXE_probe"))
        .env("TOWER_PREFORK_BIND", "127.0.0.1:0,127.0.0.1:0")
        .env("TOWER_PREFORK_WORKERS", "3")
        .start();
    let _ = running.ready();
    assert_eq!(running.workers().len(), 3);
    assert_eq!(running.addresses().len(), 2);
}

#[test]
fn the_log_can_be_json() {
    let running = probe("-w 1 --log-format json").start();
    running.wait_for(r#""message":"ready""#);
    let lines = running.wait_for_count(r#""message":"listening""#, 1);
    assert!(lines[0].starts_with('{') && lines[0].contains(r#""address":"http://127.0.0.1:"#));
}

#[test]
fn log_levels_have_pythons_names_and_unknown_ones_are_refused() {
    // Lines of a start are of the level info, and that of a dead worker is an error.
    let port = Port::take();
    let running = probe(&format!("-w 1 --log-level critical -b {}", port.address())).start();
    wait_until("the server is ready", || {
        let client = Client::try_connect(port.address());
        client.is_ok_and(|mut client| client.get("/name").is_ok())
    });
    running.workers()[0].signal(Signal::KILL);
    running.wait_for("worker died");
    assert!(!running.log().join("").contains("ready "));

    let (code, output) = probe("-w 1 --log-level verbose").run();
    assert_eq!(code, Some(2));
    assert!(
        output.contains("there is no log level \"verbose\"; choose off, error, warn, info"),
        "{output}"
    );
}
