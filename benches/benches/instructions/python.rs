//! An application in Python, called on the thread of the event loop.

use benches::request_with;
use gungraun::{LibraryBenchmarkConfig, library_benchmark, library_benchmark_group};
use tower_wsgi::Body;
use tower_wsgi_python::PythonApp;

use crate::calls::Calls;

library_benchmark_group!(
    name = in_python,
    config = LibraryBenchmarkConfig::default().envs([
        (
            "PYTHONPATH",
            concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions")
        ),
        // Otherwise the layout of Python's dictionaries is random.
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ]),
    benchmarks = [python]
);

#[library_benchmark]
#[bench::get(Calls::of(load()))]
#[bench::post(Calls::with(load(), || request_with(Body::from("name=Ada&message=hello"))))]
fn python(calls: Calls) -> Calls {
    calls.make()
}

fn load() -> PythonApp {
    let app = PythonApp::builder().thread_workers(0);
    app.load("application:application")
        .expect("the application can be imported")
}
