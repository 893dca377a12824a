//! Mail: plain text. `lettre` encodes headers and body, so that no value of a stranger makes a header or an end.

use lettre::{
    Message as Mail,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use vedette_event::{Level, Time};

use crate::{message::Message, template::Said};

/// The mail of a message. Its `Message-ID` stays the same over all tries.
pub(super) fn mail(message: &Message, said: &Said, from: &Mailbox, to: &[Mailbox], now: Time) -> Result<Mail, String> {
    let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(now.secs()).unwrap_or(0));
    let mut builder = Mail::builder().from(from.clone()).date(date).subject(&said.subject).message_id(Some(format!(
        "<{}@{}>",
        message.id,
        from.email.domain()
    )));
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    // RFC 3834: no out-of-office answers. Importance is RFC 2156.
    for (name, value) in [
        ("Auto-Submitted", "auto-generated"),
        ("Importance", if message.level() >= Level::High { "high" } else { "normal" }),
        ("X-Vedette-Level", message.level().as_str()),
    ] {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    }
    builder
        .header(ContentType::TEXT_PLAIN)
        .body(said.body.clone())
        .map_err(|error| format!("the mail cannot be written: {error}"))
}
