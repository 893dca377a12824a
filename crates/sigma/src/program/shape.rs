//! What the shapes of a batch's events tell, found out once for each.

use std::ops::Range;

use vedette_event::{Batch, Event};

use super::{
    layout::Layouts,
    names::{Names, Numbers},
    partition::Partition,
};

/// The shapes of the present batch.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// By their numbers.
    list: Vec<Shape>,
    layouts: Vec<Known>,
    /// Places of fields.
    places: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Shape {
    /// Where the places are of the fields that tell log sources apart, once they were looked for.
    routing: Option<Range<usize>>,
    /// Number + 1 of what was found last; 0 if nothing was.
    last: usize,
}

/// The layout that a shape comes to in a partition.
#[derive(Debug)]
struct Known {
    partition: u32,
    layout: u32,
    /// How often the partition's layouts had been forgotten.
    forgotten: u64,
    places: Range<usize>,
    /// What was found of the shape before, as [`Shape::last`].
    before: usize,
}

impl Shapes {
    pub(super) fn begin(&mut self, batch: &Batch) {
        self.list.clear();
        self.list.resize(batch.shapes(), Shape::default());
        self.layouts.clear();
        self.places.clear();
    }

    /// The places of an event's fields that tell log sources apart.
    pub(super) fn routing(&mut self, names: &Names, numbers: &Numbers, event: Event<'_>) -> &[u32] {
        let Shapes { list, places, .. } = self;
        let found = list[event.shape().index()].routing.get_or_insert_with(|| {
            let start = places.len();
            let ids = (0..).zip(event.names()).filter(|(_, id)| names.is_routing(numbers.of(*id)));
            places.extend(ids.map(|(place, _)| place));
            start..places.len()
        });
        &places[found.clone()]
    }

    /// An event's layout in a partition, and the places of those of its fields that the partition knows, written over
    /// what `places` held. `made` counts layouts.
    pub(super) fn layout(
        &mut self,
        layouts: &mut Layouts,
        partition: &Partition,
        numbers: &Numbers,
        event: Event<'_>,
        places: &mut Vec<u32>,
        made: &mut u64,
    ) -> u32 {
        places.clear();
        let shape = event.shape().index();
        let mut at = self.list[shape].last;
        while let Some(known) = at.checked_sub(1).map(|number| &self.layouts[number]) {
            if known.partition == partition.number && known.forgotten == layouts.forgotten() {
                places.extend_from_slice(&self.places[known.places.clone()]);
                return known.layout;
            }
            at = known.before;
        }
        let layout = layouts.find(partition, numbers, event, places, made);
        // What has too many fields is not kept here either.
        if layouts.get(layout).0.id.is_some() {
            let start = self.places.len();
            self.places.extend_from_slice(places);
            let (partition, forgotten, before) = (partition.number, layouts.forgotten(), self.list[shape].last);
            self.layouts.push(Known { partition, layout, forgotten, places: start..self.places.len(), before });
            self.list[shape].last = self.layouts.len();
        }
        layout
    }
}
