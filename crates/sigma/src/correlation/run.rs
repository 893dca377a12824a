//! Hits in, findings out.

use std::sync::Arc;

use vedette_event::{Entity, EventId, Finding, FindingId, Matched, SourceId, Time};

use super::{
    Correlations, Hit, Options,
    compile::Compiled,
    groups::GroupId,
    hit::{Carried, MAX_COMBINATIONS},
    state::{Computed, Entry, Fired, Input, State, Step},
};

impl Correlations {
    /// Takes a hit. Hits of one event and rule are one, however often they come.
    pub fn push(&mut self, hit: Hit) {
        let time = hit.time.micros();
        let late = time < self.clock.watermark;
        if late || self.clock.is_ahead(time, self.options.skew) {
            for (number, _) in &self.rules[hit.rule as usize].above {
                let counts = &mut self.counts[*number as usize];
                *(if late { &mut counts.late } else { &mut counts.ahead }) += 1;
            }
            return;
        }
        let cost = hit.cost();
        if self.pending.insert(hit.key(), hit).is_none() {
            self.pending_bytes += cost;
        }
    }

    /// Says that events of a source have come up to this time. Before hits of that time are pushed, it is too early
    /// to say so.
    pub fn observe(&mut self, source: SourceId, time: Time) {
        if !self.clock.is_ahead(time.micros(), self.options.skew) {
            self.clock.observe(source, time.micros());
        }
    }

    /// Says what time it is, looks at all hits that the watermark has passed, and appends what they come to, in the
    /// order of time. `now` decides which sources are idle and which times are too far off, and nothing else: it is
    /// when the events handed in last were received, so that a replay of them says the same. As long as no hit is
    /// late, what is found does not depend on how often this is called.
    pub fn advance(&mut self, now: Time, out: &mut Vec<Finding>) {
        let Options { lateness, idle, skew, .. } = self.options;
        self.clock.advance(now.micros(), lateness, idle, skew);
        self.hurry();
        self.release(self.clock.watermark, out);
    }

    /// Looks at all hits and closes all windows: nothing more will come. Any later hit is late.
    pub fn finish(&mut self, out: &mut Vec<Finding>) {
        self.hand_on_all();
        self.clock.watermark = i64::MAX;
        self.release(i64::MAX, out);
        while let Some((time, number, id)) = self.timers.pop_first() {
            self.ring(time, number, id, out);
        }
    }

    /// Looks at what lies before `until`: hits, and after those of the same time, groups whose windows end.
    pub(super) fn release(&mut self, until: i64, out: &mut Vec<Finding>) {
        loop {
            let hit = self.pending.first_key_value().map(|((time, ..), _)| *time).filter(|time| *time < until);
            let timer = self.timers.first().map(|(time, ..)| *time).filter(|time| *time < until);
            match (hit, timer) {
                (Some(hit), timer) if timer.is_none_or(|timer| hit <= timer) => {
                    if let Some((_, hit)) = self.pending.pop_first() {
                        self.pending_bytes = self.pending_bytes.saturating_sub(hit.cost());
                        self.look_at(&hit, out);
                    }
                }
                (_, Some(_)) => {
                    if let Some((time, number, id)) = self.timers.pop_first() {
                        self.ring(time, number, id, out);
                    }
                }
                _ => return,
            }
        }
    }

    fn look_at(&mut self, hit: &Hit, out: &mut Vec<Finding>) {
        let time = hit.time.micros();
        let entry = Entry::new(time, hit.event);
        let mut work = Work::default();
        for (number, member) in &self.rules[hit.rule as usize].above {
            work.add(*number, Part { member: *member, entry, more: Box::new([]), carried: hit.carried.clone() });
        }
        self.work(work, out);
    }

    /// A group's timer: its window has ended.
    fn ring(&mut self, time: i64, number: u32, id: GroupId, out: &mut Vec<Finding>) {
        let compiled = &self.compiled[number as usize];
        let groups = &mut self.groups[number as usize];
        let Some(group) = groups.find(id) else { return };
        let before = group.cost();
        let step = State::ring(&mut group.state, &compiled.plan, compiled.timespan);
        self.bytes = (self.bytes + group.cost()).saturating_sub(before);
        if group.state.is_none() {
            self.bytes = self.bytes.saturating_sub(group.cost());
        }
        groups.settle(id);
        if let Some(timer) = step.timer {
            self.timers.insert((timer, number, id));
        }
        let mut work = Work::default();
        if let Some(fired) = step.fired {
            self.found(number, fired, &[], time, &mut work, out);
        }
        self.work(work, out);
    }

    /// Looks at hits of one time, correlations that others are made of first.
    fn work(&mut self, mut work: Work, out: &mut Vec<Finding>) {
        while let Some((number, parts)) = work.0.pop_first() {
            for part in parts {
                self.part(number, &part, &mut work, out);
            }
        }
        self.keep_within();
    }

    fn part(&mut self, number: u32, part: &Part, work: &mut Work, out: &mut Vec<Finding>) {
        let compiled = &self.compiled[number as usize];
        let counts = &mut self.counts[number as usize];
        let carried = part.carried.clone();
        let (combinations, cut) = carried.combinations(&compiled.group_slots);
        let (mut numbers, mut hashes) = (Vec::new(), Vec::new());
        let mut too_many = cut;
        let computed = match compiled.value_slots.as_slice() {
            [] => Computed::Nothing,
            [slot] if compiled.numeric => {
                too_many |= carried.values(*slot).count() > MAX_COMBINATIONS;
                let texts = carried.values(*slot).take(MAX_COMBINATIONS);
                let parsed = texts.filter_map(|text| text.trim().parse::<f64>().ok());
                numbers.extend(parsed.filter(|number| number.is_finite()));
                Computed::Numbers(&numbers)
            }
            slots => {
                let (tuples, cut) = carried.combinations(slots);
                too_many |= cut;
                hashes.extend(tuples.iter().map(|tuple| hash(&self.options.key, tuple)));
                Computed::Distinct(&hashes)
            }
        };
        let nothing = matches!(computed, Computed::Numbers([]) | Computed::Distinct([]));
        counts.cut += u64::from(too_many);
        if combinations.is_empty() || nothing {
            counts.unusable += 1;
            return;
        }
        let input =
            Input { member: part.member, entry: part.entry, more: &part.more, carried: &carried, values: computed };
        for values in combinations {
            let step = self.step(number, &values, &input);
            self.counts[number as usize].cut += u64::from(step.cut);
            if let Some(fired) = step.fired {
                self.found(number, fired, &values, part.entry.time, work, out);
            }
        }
    }

    /// A hit comes to a group.
    fn step(&mut self, number: u32, values: &[&str], input: &Input<'_>) -> Step {
        let compiled = &self.compiled[number as usize];
        let groups = &mut self.groups[number as usize];
        let id = hash(&self.options.key, values);
        let group = groups.get(id);
        let before = if group.state.is_some() { group.cost() } else { 0 };
        let step = State::step(&mut group.state, &compiled.plan, compiled.timespan, values, input);
        let after = if group.state.is_some() { group.cost() } else { 0 };
        self.bytes = (self.bytes + after).saturating_sub(before);
        if after == 0 {
            groups.settle(id);
        }
        if let Some(timer) = step.timer {
            self.timers.insert((timer, number, id));
        }
        if groups.len() >= groups.sweep_at {
            self.sweep(number, input.entry.time);
        }
        step
    }

    /// A condition came to hold: a finding, and a hit for the correlations above.
    fn found(
        &mut self,
        number: u32,
        fired: Fired,
        values: &[&str],
        time: i64,
        work: &mut Work,
        out: &mut Vec<Finding>,
    ) {
        let compiled = &self.compiled[number as usize];
        let own: Vec<&str>;
        let values = match &fired.values {
            Some(kept) => {
                own = kept.iter().map(|value| &**value).collect();
                &own
            }
            None => values,
        };
        if !compiled.silent {
            out.push(finding(compiled, &fired, values));
        }
        let Some((last, more)) = fired.events.split_last() else { return };
        let part =
            |member| Part { member, entry: Entry::new(time, *last), more: more.into(), carried: fired.carried.clone() };
        for (above, member) in &compiled.above {
            work.add(*above, part(*member));
        }
    }
}

/// A hit or a finding on its way to one correlation.
struct Part {
    member: usize,
    entry: Entry,
    more: Box<[EventId]>,
    carried: Arc<Carried>,
}

/// What is still to be looked at, by correlation. They are numbered so that each comes after those it is made of.
#[derive(Default)]
struct Work(std::collections::BTreeMap<u32, Vec<Part>>);

impl Work {
    fn add(&mut self, correlation: u32, part: Part) {
        self.0.entry(correlation).or_default().push(part);
    }
}

/// The name of a group, or of a distinct value.
fn hash(key: &[u8; 32], values: &[&str]) -> u128 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for value in values {
        hasher.update(&(value.len() as u64).to_le_bytes());
        hasher.update(value.as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(id)
}

fn finding(compiled: &Compiled, fired: &Fired, values: &[&str]) -> Finding {
    // An event can be in several groups, and begin several windows.
    let mut name = format!("{}\n{}\n{}", compiled.reference.id, fired.start, fired.end);
    for value in values {
        name += &format!("\n{}:{value}", value.len());
    }
    let of_group = |entity: &&Entity| values.contains(&entity.value.as_str());
    let all = &fired.carried.entities;
    let mut entities: Vec<Entity> = all.iter().filter(of_group).cloned().collect();
    if entities.is_empty() {
        entities = all.to_vec();
    }
    let matched = compiled.group_by.iter().zip(values);
    Finding {
        id: FindingId::of(&name, &fired.events),
        rule: compiled.reference.clone(),
        time: Time::from_micros(fired.end),
        events: fired.events.clone(),
        entities,
        matched: matched.map(|(field, value)| Matched { field: field.clone(), value: (*value).to_owned() }).collect(),
    }
}
