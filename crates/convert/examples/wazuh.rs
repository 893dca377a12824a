//! Converts a rule file that is given by its name, and prints what comes out: `cargo run -p vedette-convert --example
//! wazuh -- FILE`.

use vedette_convert::wazuh::{Input, convert};

fn main() -> Result<(), std::io::Error> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<String> = names.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let conversion = convert(&Input { files: &files, ..Input::default() });
    for file in &conversion.files {
        println!("# {}\n{}", file.name, file.text);
    }
    println!("{conversion}");
    Ok(())
}
