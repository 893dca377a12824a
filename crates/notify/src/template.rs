//! What messages say: the texts of a channel, from its templates.
//!
//! Templates come from the configuration and are trusted; values come from attackers and are not. So every value is
//! cleaned to one visible line and escaped for its channel when it is written, whatever the template does.

use minijinja::{
    Environment, UndefinedBehavior,
    value::{Serde, ValueKind},
};

use crate::{
    Held, Notice,
    config::{Channel, Config, Kind, SyslogFormat, Templates},
    message::{DigestView, Message, View},
    sample,
    text::{Escape, cut, lines, one_line},
};

/// Steps of one rendering; a loop over a full digest takes about two thousand.
const FUEL: u64 = 100_000;
const MAX_SUBJECT: usize = 512;
const MAX_BODY: usize = 32 << 10;

const SUBJECT: &str = "\
[{{ level|upper }}] {% if incident %}Incident {{ incident }}: \
{% for one in entities[:3] %}{{ one.kind }} {{ one.value }}{% if not loop.last %}, {% endif %}{% endfor %}\
{% else %}{{ rule.title }}: {{ entity.value }}{% endif %}{% if what != 'opened' %} ({{ what }}){% endif %}";

const BODY: &str = "\
{% if incident %}Incident {{ incident }}{% else %}Alert {{ alert }}{% endif %} {{ what }}{% if who %} by {{ who }}{% endif %}
{%- if verdict %}: {{ verdict }}{% elif merged_into %}: it is part of incident {{ merged_into }} now{% endif %}
{%- if incident and assignee and assignee != who %}
Assignee: {{ assignee }}
{%- endif %}
{%- if incident %}
Level: {{ level }}
{%- if rule.tactics %}
Tactics: {{ rule.tactics|join(', ') }}
{%- endif %}
{%- if rules %}
Rules: {% for one in rules %}{{ one.title }}{% if not loop.last %}, {% endif %}{% endfor %}
{%- endif %}
{%- else %}
Rule: {{ rule.title }} ({{ level }})
{%- endif %}
{%- if rule.techniques %}
Techniques: {{ rule.techniques|join(', ') }}
{%- endif %}
Entity: {{ entity.kind }} {{ entity.value }}
{%- if entities|length > 1 %}
Also named: {% for other in entities[1:] %}{{ other.kind }} {{ other.value }}{% if not loop.last %}, {% endif %}{% endfor %}
{%- endif %}
{%- if sources %}
Sources: {{ sources|join(', ') }}
{%- endif %}
Findings: {{ count }}, from {{ first }} to {{ last }}
{%- if note %}
Note: {{ note }}
{%- endif %}";

/// Where the link is not a button or a field of its own.
const LINK: &str = "{% if link %}\n\n{{ link }}{% endif %}";

const DIGEST_SUBJECT: &str =
    "{{ total }} notices of {{ of }}, worst {{ level }}{% if why %} ({{ why|replace('_', ' ') }}){% endif %}";

const DIGEST_BODY: &str = "\
{{ total }} notices of {{ of }}, from {{ from }} to {{ to }}
By level: {% for one in by_level %}{{ one.level }} {{ one.count }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for one in worst %}
[{{ one.level }}] {% if one.incident %}Incident {{ one.incident }}: {{ one.entity.kind }} {{ one.entity.value }},\
{% else %}{{ one.rule.title }}: {{ one.entity.value }}, alert {{ one.alert }}{% endif %} {{ one.what }}, {{ one.count }} findings
{%- endfor %}
{%- if more %}
and {{ more }} more
{%- endif %}";

/// The texts of a channel.
#[derive(Debug)]
pub(crate) struct Texts {
    single: (Option<Text>, Option<Text>),
    digest: (Option<Text>, Option<Text>),
    console: Option<String>,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// One line.
    pub subject: String,
    /// Several lines.
    pub body: String,
}

impl Texts {
    /// Compiles a channel's templates and tries them on a sample.
    pub fn new(channel: &Channel, config: &Config) -> Result<Texts, String> {
        let Templates { subject, body, digest_subject, digest_body } = &channel.templates;
        let kind = &channel.kind;
        let has_body = !matches!(kind, Kind::Pagerduty(_) | Kind::Syslog(_));
        let has_subject = !matches!(kind, Kind::Webhook(_))
            && !matches!(kind, Kind::Syslog(syslog) if syslog.format == SyslogFormat::Cef);
        for (name, is_given, is_used) in [
            ("subject", subject.is_some(), has_subject),
            ("digest_subject", digest_subject.is_some(), has_subject),
            ("body", body.is_some(), has_body),
            ("digest_body", digest_body.is_some(), has_body),
        ] {
            if is_given && !is_used {
                return Err(format!("templates.{name} is not used by {}", kind.as_str()));
            }
        }
        // A webhook's body is ours unless there is a template: then both must be given, if both can be sent.
        if matches!(kind, Kind::Webhook(_)) && body.is_some() != digest_body.is_some() {
            return Err("templates: `body` and `digest_body` belong together".into());
        }
        let escape = match kind {
            Kind::Webhook(_) => Escape::Json,
            Kind::Slack(_) => Escape::Slack,
            _ => Escape::Plain,
        };
        let subject_of = |name: &str, given: &Option<String>, default: &str| {
            let source = given.as_deref().unwrap_or(default);
            has_subject.then(|| Text::new(name, source, Escape::Plain)).transpose()
        };
        let body_of = |name: &str, given: &Option<String>, default: &str| {
            let link = if matches!(kind, Kind::Smtp(_)) { LINK } else { "" };
            let default = (escape != Escape::Json).then(|| format!("{default}{link}"));
            let source = given.clone().or(default);
            source.filter(|_| has_body).map(|source| Text::new(name, &source, escape)).transpose()
        };
        let texts = Texts {
            single: (subject_of("subject", subject, SUBJECT)?, body_of("body", body, BODY)?),
            digest: (
                subject_of("digest_subject", digest_subject, DIGEST_SUBJECT)?,
                body_of("digest_body", digest_body, DIGEST_BODY)?,
            ),
            console: config.console.clone(),
        };
        texts.try_on_samples(kind)?;
        Ok(texts)
    }

    /// Where links begin.
    pub fn console(&self) -> Option<&str> {
        self.console.as_deref()
    }

    fn try_on_samples(&self, kind: &Kind) -> Result<(), String> {
        let (alert, closed) = (sample::notice(), sample::closed());
        let (incident, merged) = (sample::incident(), sample::merged());
        let several = vec![alert.clone(), closed.clone(), incident.clone()];
        for notices in [vec![alert], vec![closed], vec![incident], vec![merged], several] {
            let said = self.say(&Message { id: "sample".into(), notices, held: Some(Held::Digest) })?;
            let Some(said) = said else { continue };
            if let Kind::Webhook(webhook) = kind
                && webhook.content_type == "application/json"
            {
                serde_json::from_str::<serde_json::Value>(&said.body)
                    .map_err(|error| format!("templates: what the body says is no JSON: {error}"))?;
            }
        }
        Ok(())
    }

    /// What a message says; nothing if the channel has no templates (a webhook with our own JSON, CEF).
    pub fn say(&self, message: &Message) -> Result<Option<Said>, String> {
        let console = self.console();
        let ((subject, body), values) = match message.single() {
            Some(notice) => (&self.single, minijinja::Value::from(Serde(View::clean(notice, console)))),
            None => {
                let view = DigestView::of(message, console, |notice: &Notice, console| View::clean(notice, console));
                (&self.digest, minijinja::Value::from(Serde(view)))
            }
        };
        if subject.is_none() && body.is_none() {
            return Ok(None);
        }
        let mut said = Said::default();
        if let Some(subject) = subject {
            said.subject = one_line(subject.render(&values)?.trim());
            cut(&mut said.subject, MAX_SUBJECT);
        }
        if let Some(body) = body {
            let text = body.render(&values)?;
            // A body of JSON cannot be cut, and its line ends are its own.
            said.body = if body.escape == Escape::Json { text } else { lines(text.trim()) };
            if said.body.len() > MAX_BODY {
                if body.escape == Escape::Json {
                    return Err(format!("the body is longer than {MAX_BODY} bytes"));
                }
                cut(&mut said.body, MAX_BODY);
            }
        }
        Ok(Some(said))
    }
}

/// One template.
#[derive(Debug)]
struct Text {
    name: String,
    environment: Environment<'static>,
    escape: Escape,
}

impl Text {
    fn new(name: &str, source: &str, escape: Escape) -> Result<Text, String> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // The file's name decides about escaping elsewhere; here the channel does, below.
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(move |out, _, value| {
            if value.is_undefined() {
                return Err(minijinja::Error::new(minijinja::ErrorKind::UndefinedError, "this is not there"));
            }
            let text = match value.kind() {
                ValueKind::None => return Ok(()),
                _ => value.to_string(),
            };
            let mut escaped = String::new();
            escape.write(&text, &mut escaped);
            Ok(out.write_str(&escaped)?)
        });
        environment
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|error| format!("templates.{name}: {error:#}"))?;
        Ok(Text { name: name.to_owned(), environment, escape })
    }

    fn render(&self, values: &minijinja::Value) -> Result<String, String> {
        self.environment
            .get_template(&self.name)
            .and_then(|template| template.render(values))
            .map_err(|error| format!("templates.{}: {error:#}", self.name))
    }
}
