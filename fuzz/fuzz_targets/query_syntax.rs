//! The query language's reader. The module is included alone: with DataFusion under the sanitizer the build
//! takes longer than the fuzzing.
//!
//! A text is read or refused with diagnostics that point into it and can be shown; what was read, written out
//! and read again is the same tree, and writing that out is the same text.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unused_imports, unreachable_pub)]
#[path = "../../crates/query/src/syntax/mod.rs"]
mod syntax;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    match syntax::parse(text) {
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.start <= error.end && error.end <= text.len(), "{error:?}");
                assert!(text.is_char_boundary(error.start) && text.is_char_boundary(error.end), "{error:?}");
                let shown = error.render(text);
                assert!(shown.len() < 64 << 10, "a diagnostic of {} bytes", shown.len());
            }
        }
        Ok(ast) => {
            let written = ast.to_string();
            if written.len() > syntax::MAX_TEXT {
                return;
            }
            let again = syntax::parse(&written).unwrap_or_else(|errors| panic!("{written:?}: {}", errors[0].render(&written)));
            assert_eq!(again, ast, "{written:?}");
            assert_eq!(again.to_string(), written);
        }
    }
});
