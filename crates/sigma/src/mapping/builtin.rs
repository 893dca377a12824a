//! The files of `content/logsources`, built in.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each file.
        pub(super) const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../../content/logsources/", $name)))),*];
    };
}

files! {
    "any.yml",
    "applications.yml",
    "cloud.yml",
    "linux.yml",
    "macos.yml",
    "network.yml",
    "web.yml",
    "windows.yml",
    "windows-channels.yml",
    "zeek.yml",
}
