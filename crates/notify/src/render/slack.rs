//! Slack: [incoming webhooks](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks) with
//! [blocks](https://docs.slack.dev/reference/block-kit/blocks).

use serde_json::{Value, json};

use super::emoji;
use crate::{
    message::{Message, link_of},
    template::Said,
    text::{Escape, cut_chars},
};

/// Characters of a header.
const MAX_HEADER: usize = 150;
/// Characters of a section's text.
const MAX_SECTION: usize = 3000;
/// Characters of an address.
const MAX_URL: usize = 2000;

/// The body of the POST. The subject is plain text; the body is `mrkdwn`, whose values the template has escaped, and
/// `verbatim`, so that Slack makes no links of what looks like one.
pub(super) fn json(message: &Message, said: &Said, console: Option<&str>) -> Value {
    let subject = format!("{} {}", emoji(message.level()), said.subject);
    let mut fallback = String::new();
    Escape::Slack.write(&subject, &mut fallback);
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": cut_chars(&subject, MAX_HEADER), "emoji": true}}),
    ];
    if !said.body.is_empty() {
        let body = cut_mrkdwn(&said.body);
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": body, "verbatim": true}}));
    }
    if let Some(url) = link_of(message, console)
        && url.len() <= MAX_URL
    {
        // Not a button: an app that only posts has nobody to answer for a click on it, and Slack complains.
        let mut link = String::new();
        Escape::Slack.write(&url, &mut link);
        let text = format!("<{link}|Open in Vedette>");
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}));
    }
    json!({"text": fallback, "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
}

/// Cuts without leaving half an escape (`&am`) at the end.
fn cut_mrkdwn(text: &str) -> String {
    let cut = cut_chars(text, MAX_SECTION);
    if cut == text {
        return cut;
    }
    match cut.rfind('&') {
        Some(start) if !cut[start..].contains(';') => format!("{}…", &cut[..start]),
        _ => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_half_escapes() {
        let long = format!("{}&lt;x", "a".repeat(MAX_SECTION - 3));
        assert_eq!(cut_mrkdwn(&long), format!("{}…", "a".repeat(MAX_SECTION - 3)));
        assert_eq!(cut_mrkdwn("a &amp; b"), "a &amp; b");
    }
}
