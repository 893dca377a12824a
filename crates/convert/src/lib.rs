//! Detection content of other engines, converted into ours.
//!
//! [`wazuh`] makes Sigma rules, filters and correlations of Wazuh 4 rules. What comes out is text that people go on
//! editing; what could not be carried over is in a report, rule by rule.
//!
//! ```
//! use vedette_convert::wazuh::{Input, convert};
//!
//! let rules = r#"
//! <group name="local,sshd,">
//!   <rule id="100001" level="0">
//!     <decoded_as>sshd</decoded_as>
//!     <description>Anything of sshd.</description>
//!   </rule>
//!   <rule id="100002" level="5">
//!     <if_sid>100001</if_sid>
//!     <match>^Failed|^error: PAM</match>
//!     <description>sshd: login failed.</description>
//!   </rule>
//! </group>"#;
//! let conversion = convert(&Input { files: &[("local_rules.xml", rules)], ..Input::default() });
//! assert_eq!(conversion.files.len(), 1);
//! assert!(conversion.files[0].text.contains("message|startswith"));
//! assert_eq!(conversion.counts().converted, 1);
//! ```
//!
//! It is pure: texts in, texts and a report out.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod wazuh;
mod yaml;
