//! The scan as a node of a physical plan.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{config::ConfigOptions, runtime::SpawnedTask, tree_node::TreeNodeRecursion},
    error::{DataFusionError, Result},
    execution::TaskContext,
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
        ReplaceChildrenOptions, SendableRecordBatchStream,
        execution_plan::{Boundedness, EmissionType},
        filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown},
        stream::RecordBatchStreamAdapter,
    },
};

use super::scan::{Reading, Scan};

/// Reads a [`Scan`], every partition its own share of the units.
#[derive(Clone, Debug)]
pub(crate) struct EventsExec {
    scan: Arc<Scan>,
    partitions: usize,
    /// Filters that become narrower while the query runs (the bound of a `sort | take`).
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    properties: Arc<PlanProperties>,
}

impl EventsExec {
    pub(crate) fn new(scan: Arc<Scan>, partitions: usize) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(scan.output.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        EventsExec { scan, partitions, dynamic: Vec::new(), properties: Arc::new(properties) }
    }
}

impl DisplayAs for EventsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventsExec: units={}, filters={}", self.scan.units.len(), self.scan.filters.len())
    }
}

impl ExecutionPlan for EventsExec {
    fn name(&self) -> &str {
        "EventsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.dynamic {
            if visit(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reading = Reading::new(self.scan.clone(), (partition, self.partitions), self.dynamic.clone());
        // A unit is read when its rows are asked for, and not before: a `take` that has enough asks no more.
        let batches = futures::stream::try_unfold(reading, |mut reading| async {
            let read = move || (reading.next(), reading);
            match SpawnedTask::spawn_blocking(read).await {
                Ok((batch, reading)) => Ok(batch?.map(|batch| (batch, reading))),
                Err(panicked) => Err(DataFusionError::ExecutionJoin(Box::new(panicked))),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.scan.output.clone(), batches)))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters: Vec<Arc<dyn PhysicalExpr>> =
            result.parent_filters.iter().map(|parent| parent.filter.clone()).collect();
        // Only units are skipped by them: whoever made them applies them to rows as well.
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]);
        if phase != FilterPushdownPhase::Post || filters.is_empty() {
            return Ok(answer);
        }
        let mut node = self.clone();
        node.dynamic.extend(filters);
        Ok(answer.with_updated_node(Arc::new(node)))
    }
}
