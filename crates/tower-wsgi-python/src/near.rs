//! What a user may have meant by the name of an application that is not there.

use pyo3::prelude::*;

/// What applications and their factories are usually called.
const USUAL: [&str; 6] = [
    "application",
    "app",
    "create_app",
    "make_app",
    "wsgi_app",
    "wsgi",
];

/// `; did you mean "app"?`, where the module has a name like this, or a usual one.
pub(crate) fn did_you_mean(module: &Bound<'_, PyModule>, name: &str) -> String {
    let near = near(module, name).unwrap_or_default();
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<_> = near.iter().map(|name| format!("{name:?}")).collect();
    format!("; did you mean {}?", names.join(" or "))
}

fn near(module: &Bound<'_, PyModule>, name: &str) -> PyResult<Vec<String>> {
    let py = module.py();
    let names: Vec<String> = module.dir()?.extract()?;
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| !name.starts_with('_'))
        .collect();
    let difflib = py.import("difflib")?;
    let usual = |names: &[String]| {
        let usual = USUAL.iter().map(|name| (*name).to_owned());
        usual.filter(|name| names.contains(name)).collect()
    };
    let close: Vec<String> = difflib
        .call_method1("get_close_matches", (name, names.clone()))?
        .extract()?;
    Ok(if close.is_empty() {
        usual(&names)
    } else {
        close
    })
}

/// Where the module of `place` is a file: how its module is written.
pub(crate) fn module_of_file(place: &str) -> Option<String> {
    let (module, callable) = match place.split_once(':') {
        Some((module, callable)) => (module, format!(":{callable}")),
        None => (place, String::new()),
    };
    if !module.ends_with(".py") && !module.contains('/') {
        return None;
    }
    let stem = module.strip_suffix(".py").unwrap_or(module);
    let stem = stem.trim_start_matches("./");
    let is_below = !stem.starts_with('/') && !stem.split('/').any(|part| part == "..");
    Some(match stem.rsplit_once('/') {
        Some((directory, name)) if !is_below => {
            format!("--chdir {directory} {name}{callable}")
        }
        _ => format!("{}{callable}", stem.replace('/', ".")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_as_its_module() {
        for (place, module) in [
            ("a.py", "a"),
            ("a.py:app", "a:app"),
            ("./a.py:app", "a:app"),
            ("shop/web.py:create_app()", "shop.web:create_app()"),
            ("shop/web:app", "shop.web:app"),
            ("/srv/shop/web.py:app", "--chdir /srv/shop web:app"),
            ("../web.py:app", "--chdir .. web:app"),
        ] {
            assert_eq!(module_of_file(place).as_deref(), Some(module), "{place}");
        }
        for place in [
            "a",
            "a:app",
            "a.b:app",
            "a:create_app('x.py')",
            "a:f('/tmp')",
        ] {
            assert_eq!(module_of_file(place), None, "{place}");
        }
    }
}
