//! Where the library is: pkg-config is asked, and its answer handed to the linker.
//! PKG_CONFIG_PATH leads to a library outside the usual places. There the directory is
//! also written into tests, examples and programs of this package's dependents that ask
//! for it through DEP_ROBUST_LIBDIR (see ../robust/build.rs).

use std::env;
use std::process::Command;

fn pkg_config(arguments: &[&str]) -> String {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&program)
        .args(arguments)
        .arg("robust")
        .output()
        .unwrap_or_else(|why| panic!("{program} does not run: {why}"));
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        panic!("{program} does not know robust; is PKG_CONFIG_PATH set?\n{why}");
    }
    String::from_utf8(output.stdout).expect("pkg-config answers in UTF-8")
}

fn main() {
    for name in ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    for word in pkg_config(&["--libs"]).split_whitespace() {
        if let Some(directory) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={directory}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={library}");
        }
    }
    println!("cargo:libdir={}", pkg_config(&["--variable=libdir"]).trim());
}
