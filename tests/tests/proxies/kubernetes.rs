//! The objects of `deploy/kubernetes/deployment.yaml`.

use std::{collections::BTreeMap, time::Duration};

use saphyr::{LoadableYamlNode, Yaml};
use tests::Program;
use tower_prefork::Config;

use crate::deployed;

/// What a worker may write to temporary files by default: 4 GiB of request bodies, 1 GiB of responses.
const SPOOLED_GIB: u64 = 4 + 1;

/// The environment variables of the container, by name.
fn environment<'a>(deployment: &'a Yaml<'_>) -> BTreeMap<&'a str, &'a str> {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_sequence().unwrap().iter();
    // A value that is not a text is refused by Kubernetes.
    let text = |variable: &'a Yaml<'_>, key: &str| variable[key].as_str().expect("a text");
    variables
        .map(|variable| (text(variable, "name"), text(variable, "value")))
        .collect()
}

fn seconds(number: &Yaml<'_>) -> Duration {
    Duration::from_secs(number.as_integer().unwrap().cast_unsigned())
}

#[test]
fn its_parts_agree_with_each_other_and_with_the_server() {
    let text = deployed("kubernetes/deployment.yaml", &[]);
    let objects = Yaml::load_from_str(&text).unwrap();
    let [deployment, service] = &objects[..] else {
        panic!("{} objects", objects.len());
    };
    assert_eq!(deployment["kind"].as_str(), Some("Deployment"));
    assert_eq!(service["kind"].as_str(), Some("Service"));
    let template = &deployment["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&service["spec"]["selector"], labels);

    let pod = &template["spec"];
    let container = &pod["containers"][0];
    let environment = environment(deployment);
    let env = |name: &str| environment[name];
    let port = &container["ports"][0];
    assert_eq!(&service["spec"]["ports"][0]["targetPort"], &port["name"]);
    let number = port["containerPort"].as_integer().unwrap();
    assert_eq!(env("TOWER_PREFORK_BIND"), format!(":{number}"));

    let ready = &container["readinessProbe"];
    let path = env("TOWER_PREFORK_READINESS_PATH");
    assert_eq!(ready["httpGet"]["path"].as_str(), Some(path));
    assert_eq!(&ready["httpGet"]["port"], &port["name"]);

    let defaults = Config::default();
    let delay = env("TOWER_PREFORK_SHUTDOWN_DELAY").parse().unwrap();
    let delay = Duration::from_secs(delay);
    let noticed = ready["failureThreshold"].as_integer().unwrap();
    let noticed = seconds(&ready["periodSeconds"]) * u32::try_from(noticed).unwrap();
    assert!(delay > noticed);
    let grace = seconds(&pod["terminationGracePeriodSeconds"]);
    assert!(grace > delay + defaults.graceful_timeout);

    let mebibytes = |text: &str, unit| text.strip_suffix(unit).unwrap().parse::<u64>().unwrap();
    let workers: u64 = env("TOWER_PREFORK_WORKERS").parse().unwrap();
    let rss = mebibytes(env("TOWER_PREFORK_MAX_RSS"), "M");
    let limit = container["resources"]["limits"]["memory"].as_str().unwrap();
    assert!(workers * rss < mebibytes(limit, "Gi") << 10);

    // One more than the workers while one is replaced.
    let volumes = pod["volumes"].as_sequence().unwrap();
    let tmp = volumes.iter().find(|it| it["name"].as_str() == Some("tmp"));
    let size = tmp.unwrap()["emptyDir"]["sizeLimit"].as_str().unwrap();
    assert!((workers + 1) * SPOOLED_GIB <= mebibytes(size, "Gi"));
}

#[test]
fn the_server_understands_its_environment() {
    let text = deployed("kubernetes/deployment.yaml", &[]);
    let objects = Yaml::load_from_str(&text).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let mut environment = environment(&objects[0]);
    environment.insert("TOWER_PREFORK_BIND", "127.0.0.1:0");
    environment.insert("TOWER_PREFORK_CONTROL_SOCKET", socket.to_str().unwrap());
    let program = || Program::new(env!("CARGO_BIN_EXE_probe"));
    let (_, help) = program().args("--help").run();
    let (mut server, mut alive) = (program(), program());
    for (name, value) in &environment {
        assert!(help.contains(&format!("[env: {name}=]")), "{name}");
        server = server.env(name, value);
        alive = alive.env(name, value);
    }
    let running = server.start();
    running.wait_for("\"message\":\"ready\"");
    let workers = environment["TOWER_PREFORK_WORKERS"];
    assert_eq!(running.workers().len().to_string(), workers);

    let container = &objects[0]["spec"]["template"]["spec"]["containers"][0];
    let command = container["livenessProbe"]["exec"]["command"].as_sequence();
    for argument in &command.unwrap()[1..] {
        alive = alive.arg(argument.as_str().unwrap());
    }
    let (code, output) = alive.run();
    assert_eq!(code, Some(0), "{output}");
}
