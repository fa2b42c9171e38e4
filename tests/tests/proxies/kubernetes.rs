//! The objects of `deploy/kubernetes/deployment.yaml`.

use std::time::Duration;

use saphyr::{LoadableYamlNode, Yaml};
use tower_prefork::Config;

use crate::deployed;

fn env<'a>(container: &'a Yaml<'_>, name: &str) -> &'a str {
    let variables = container["env"].as_sequence().unwrap();
    let mut named = variables
        .iter()
        .filter(|variable| variable["name"].as_str() == Some(name));
    let variable = named.next().unwrap_or_else(|| panic!("no {name}"));
    // A value that is not a text is refused by Kubernetes.
    variable["value"].as_str().expect("a text")
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
    let env = |name: &str| env(container, name);
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
}
