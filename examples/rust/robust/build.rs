//! Examples and tests find the library where pkg-config found it, also when that is not
//! one of the loader's own directories.

fn main() {
    if let Ok(directory) = std::env::var("DEP_ROBUST_LIBDIR") {
        println!("cargo:rustc-link-arg-tests=-Wl,-rpath,{directory}");
        println!("cargo:rustc-link-arg-examples=-Wl,-rpath,{directory}");
    }
}
