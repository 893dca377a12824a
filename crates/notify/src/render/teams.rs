//! Microsoft Teams: an [Adaptive Card](https://adaptivecards.io/explorer/) for a workflow that takes
//! [webhook requests](https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using).
//!
//! Text is in `TextRun`s of a `RichTextBlock`, which know no Markdown: a hostile value can make no link.

use serde_json::{Value, json};
use vedette_event::Level;

use crate::{
    message::{Message, link_of},
    template::Said,
    text::{cut, cut_chars},
};

/// A message may have 28 KB; JSON's escapes can make six bytes of one, so the text is kept well below.
const MAX_BODY: usize = 12 << 10;
const MAX_JSON: usize = 26 << 10;

/// The body of the POST.
pub(super) fn json(message: &Message, said: &Said, console: Option<&str>) -> Value {
    let mut body = said.body.clone();
    let mut max = MAX_BODY;
    loop {
        cut(&mut body, max);
        let card = card(message, &said.subject, &body, console);
        if max < 64 || card.to_string().len() <= MAX_JSON {
            return card;
        }
        max /= 2;
    }
}

fn card(message: &Message, subject: &str, body: &str, console: Option<&str>) -> Value {
    let color = match message.level() {
        Level::Critical | Level::High => "Attention",
        Level::Medium => "Warning",
        Level::Low => "Accent",
        Level::Informational => "Default",
    };
    let run = |text: &str| json!({"type": "TextRun", "text": text});
    let mut blocks = vec![json!({"type": "RichTextBlock", "inlines": [
        {"type": "TextRun", "text": cut_chars(subject, 300), "size": "Large", "weight": "Bolder", "color": color},
    ]})];
    // One block a line: line ends within a run are shown differently by different clients.
    blocks.extend(body.lines().filter(|line| !line.is_empty()).enumerate().map(|(number, line)| {
        let spacing = if number == 0 { "Medium" } else { "Small" };
        json!({"type": "RichTextBlock", "spacing": spacing, "inlines": [run(line)]})
    }));
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": cut_chars(subject, 300),
        "body": blocks,
    });
    if let (Some(url), Some(fields)) = (link_of(message, console), content.as_object_mut()) {
        fields.insert("actions".into(), json!([{"type": "Action.OpenUrl", "title": "Open in Vedette", "url": url}]));
    }
    json!({"type": "message", "attachments": [
        {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": content},
    ]})
}
