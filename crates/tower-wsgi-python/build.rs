//! Sets the run path of programs and tests that are linked to Python's library.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}
