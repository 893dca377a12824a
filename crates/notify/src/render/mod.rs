//! What each kind of channel is sent. Pure: a message and its texts in, bytes out.

mod alertmanager;
mod cef;
mod mail;
mod ntfy;
mod pagerduty;
mod slack;
mod syslog;
mod teams;
#[cfg(test)]
mod tests;
pub(crate) mod webhook;

use vedette_event::{Level, Time};

pub(crate) use alertmanager::LABELS;

use crate::{
    message::Message,
    ready::{Ready, Speaks},
    template::Said,
};

/// What is sent, before anybody knows over which connection.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// An HTTP POST.
    Post(Post),
    /// A mail.
    Mail(Box<lettre::Message>),
    /// Syslog messages, without framing.
    Lines(Vec<String>),
}

/// An HTTP POST, without the address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub content_type: String,
    /// Beyond those of the channel.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Post {
    /// Without the body, which may hold a routing key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "POST of {} bytes of {}", self.body.len(), self.content_type)
    }
}

impl Post {
    fn json(body: &serde_json::Value) -> Post {
        Post { content_type: "application/json".into(), headers: vec![], body: body.to_string().into_bytes() }
    }
}

/// Writes a message for a channel.
///
/// # Errors
/// It cannot be said in the channel's terms; trying again would not help.
pub(crate) fn payload(channel: &Ready, message: &Message, now: Time) -> Result<Payload, String> {
    let said = channel.texts.say(message)?;
    let console = channel.texts.console();
    let text = || said.clone().unwrap_or_default();
    Ok(match &channel.speaks {
        Speaks::Webhook { secret, content_type, .. } => {
            Payload::Post(webhook::post(message, said.as_ref(), console, content_type, secret.as_deref(), now))
        }
        Speaks::Slack => Payload::Post(Post::json(&slack::json(message, &text(), console))),
        Speaks::Teams => Payload::Post(Post::json(&teams::json(message, &text(), console))),
        Speaks::Pagerduty { routing_key } => {
            Payload::Post(Post::json(&pagerduty::json(first(message)?, &text(), console, routing_key)))
        }
        Speaks::Ntfy { topic } => Payload::Post(Post::json(&ntfy::json(message, &text(), console, topic))),
        Speaks::Alertmanager { labels, hold } => {
            Payload::Post(Post::json(&alertmanager::json(first(message)?, &text(), console, labels, *hold, now)))
        }
        Speaks::Smtp(smtp) => Payload::Mail(Box::new(mail::mail(message, &text(), &smtp.from, &smtp.to, now)?)),
        Speaks::Syslog(settings) => {
            Payload::Lines(vec![syslog::line(first(message)?, said.as_ref(), console, settings)])
        }
    })
}

/// The notice of a channel that sends each alone.
fn first(message: &Message) -> Result<&crate::Notice, String> {
    message.single().ok_or_else(|| "several notices for a channel that sends each alone".into())
}

/// A colour that people know for the level.
fn emoji(level: Level) -> &'static str {
    match level {
        Level::Critical => "🔴",
        Level::High => "🟠",
        Level::Medium => "🟡",
        Level::Low => "🔵",
        Level::Informational => "⚪",
    }
}

/// For texts of messages of several notices.
fn said_or(said: Option<&Said>) -> Said {
    said.cloned().unwrap_or_default()
}
