//! Lets the programs and tests that are linked to Python find its library where it was found.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}
