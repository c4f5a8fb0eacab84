//! Which parts of a plan are the same at every step, so that they need to be evaluated only once.
//!
//! A selector with `@` looks at one time whatever the step; an expression over nothing but such selectors and
//! constants has one value. The largest such expressions are wrapped in [`VectorPlan::Fixed`].

use super::{Aggregation, HistogramFunction, MapFunction, Plan, RangePlan, ScalarPlan, VectorPlan};

/// Wraps what is the same at every step.
pub(super) fn fix(plan: &mut Plan) {
    match plan {
        Plan::Scalar(scalar) => fix_scalar(scalar),
        Plan::Vector(vector) => fix_vector(vector),
        Plan::Range(range) => fix_range(range),
        Plan::Text(_) => {}
    }
}

fn fix_vector(plan: &mut VectorPlan) {
    if matches!(plan, VectorPlan::Selector(_) | VectorPlan::SampleTimes(_) | VectorPlan::Nothing) {
        return; // costs one read a series either way
    }
    if is_fixed(plan) {
        let inner = std::mem::replace(plan, VectorPlan::Nothing);
        *plan = VectorPlan::Fixed(Box::new(inner));
        return;
    }
    match plan {
        VectorPlan::Selector(_) | VectorPlan::SampleTimes(_) | VectorPlan::Nothing | VectorPlan::Fixed(_) => {}
        VectorPlan::OfScalar(scalar) => fix_scalar(scalar),
        VectorPlan::OverRange { parameters, range, .. } => {
            parameters.iter_mut().for_each(fix_scalar);
            fix_range(range);
        }
        VectorPlan::AbsentOverTime { range, .. } => fix_range(range),
        VectorPlan::Map { parameters, vector, .. } => {
            parameters.iter_mut().for_each(fix_scalar);
            fix_vector(vector);
        }
        VectorPlan::Relabel { vector, .. }
        | VectorPlan::Sort { vector, .. }
        | VectorPlan::Absent { vector, .. }
        | VectorPlan::Histogram { vector, .. }
        | VectorPlan::Aggregate { vector, .. }
        | VectorPlan::Info { vector, .. } => fix_vector(vector),
        VectorPlan::WithScalar { scalar, vector, .. } => {
            fix_scalar(scalar);
            fix_vector(vector);
        }
        VectorPlan::Binary { left, right, .. } | VectorPlan::Set { left, right, .. } => {
            fix_vector(left);
            fix_vector(right);
        }
    }
}

fn fix_scalar(plan: &mut ScalarPlan) {
    match plan {
        ScalarPlan::Number(_) | ScalarPlan::Time => {}
        ScalarPlan::Negate(inner) => fix_scalar(inner),
        ScalarPlan::Binary(_, a, b) | ScalarPlan::Least(a, b) | ScalarPlan::Greatest(a, b) => {
            fix_scalar(a);
            fix_scalar(b);
        }
        ScalarPlan::OfVector(vector) => fix_vector(vector),
    }
}

fn fix_range(plan: &mut RangePlan) {
    if let RangePlan::Subquery { vector, .. } = plan {
        fix_vector(vector);
    }
}

fn is_fixed(plan: &VectorPlan) -> bool {
    match plan {
        VectorPlan::Selector(selector) | VectorPlan::SampleTimes(selector) => selector.shift.at.is_some(),
        VectorPlan::Nothing | VectorPlan::Fixed(_) => true,
        VectorPlan::OfScalar(scalar) => is_fixed_scalar(scalar),
        VectorPlan::OverRange { function, parameters, range, .. } => {
            !function.sees_step_time() && parameters.iter().all(is_fixed_scalar) && is_fixed_range(range)
        }
        VectorPlan::Map { function, parameters, vector } => {
            *function != MapFunction::StepTime && parameters.iter().all(is_fixed_scalar) && is_fixed(vector)
        }
        VectorPlan::Relabel { vector, .. } | VectorPlan::Absent { vector, .. } => is_fixed(vector),
        // Sorting shows in the order of an instant answer only, and info series are looked up at each step.
        VectorPlan::Sort { .. } | VectorPlan::Info { .. } => false,
        VectorPlan::AbsentOverTime { range, .. } => is_fixed_range(range),
        VectorPlan::Histogram { function, vector, .. } => {
            is_fixed(vector)
                && match function {
                    HistogramFunction::Quantile(quantile) => is_fixed_scalar(quantile),
                    HistogramFunction::Quantiles { quantiles, .. } => quantiles.iter().all(is_fixed_scalar),
                    HistogramFunction::Fraction { lower, upper } => is_fixed_scalar(lower) && is_fixed_scalar(upper),
                }
        }
        VectorPlan::Aggregate { aggregation, vector, .. } => {
            is_fixed(vector)
                && match aggregation {
                    Aggregation::Fold(_) | Aggregation::CountValues(_) => true,
                    Aggregation::Quantile(scalar)
                    | Aggregation::Rank { count: scalar, .. }
                    | Aggregation::Limit(scalar)
                    | Aggregation::LimitRatio(scalar) => is_fixed_scalar(scalar),
                }
        }
        VectorPlan::WithScalar { scalar, vector, .. } => is_fixed_scalar(scalar) && is_fixed(vector),
        VectorPlan::Binary { left, right, .. } | VectorPlan::Set { left, right, .. } => {
            is_fixed(left) && is_fixed(right)
        }
    }
}

fn is_fixed_scalar(plan: &ScalarPlan) -> bool {
    match plan {
        ScalarPlan::Number(_) => true,
        ScalarPlan::Time => false,
        ScalarPlan::Negate(inner) => is_fixed_scalar(inner),
        ScalarPlan::Binary(_, a, b) | ScalarPlan::Least(a, b) | ScalarPlan::Greatest(a, b) => {
            is_fixed_scalar(a) && is_fixed_scalar(b)
        }
        ScalarPlan::OfVector(vector) => is_fixed(vector),
    }
}

fn is_fixed_range(plan: &RangePlan) -> bool {
    match plan {
        RangePlan::Selector { selector, .. } => selector.shift.at.is_some(),
        // Even over a fixed vector: how many steps fall into the window depends on where it stands.
        RangePlan::Subquery { shift, .. } => shift.at.is_some(),
    }
}
