//! ntfy: [publish as JSON](https://docs.ntfy.sh/publish/#publish-as-json), so that nothing of a stranger is in a header.

use serde_json::{Value, json};
use vedette_event::Level;

use crate::{
    message::{Message, link_of},
    template::Said,
    text::cut,
};

/// A longer message becomes a file; in bytes.
const MAX_MESSAGE: usize = 4000;
const MAX_TITLE: usize = 250;

/// The body of the POST.
pub(super) fn json(message: &Message, said: &Said, console: Option<&str>, topic: &str) -> Value {
    let (priority, tag) = match message.level() {
        Level::Critical => (5, "rotating_light"),
        Level::High => (4, "warning"),
        Level::Medium => (3, "large_orange_diamond"),
        Level::Low => (2, "small_blue_diamond"),
        Level::Informational => (1, "information_source"),
    };
    let (mut title, mut body) = (said.subject.clone(), said.body.clone());
    cut(&mut title, MAX_TITLE);
    cut(&mut body, MAX_MESSAGE);
    let mut json = json!({"topic": topic, "title": title, "message": body, "priority": priority, "tags": [tag]});
    if let (Some(url), Some(fields)) = (link_of(message, console), json.as_object_mut()) {
        fields.insert("click".into(), json!(url));
    }
    json
}
