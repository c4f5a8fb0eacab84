//! The functions that work on windows and on single values, by name.

/// A function of the samples in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    InstantRate,
    InstantDelta,
    Sum,
    Average,
    Min,
    Max,
    Count,
    First,
    Last,
    Present,
    Deviation,
    Variance,
    MedianDeviation,
    Quantile,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMin,
    TimeOfMax,
    Changes,
    Resets,
    Derivative,
    PredictLinear,
    DoubleExponential,
}

impl RangeFunction {
    /// The function of that name.
    pub fn named(name: &str) -> Option<Self> {
        use RangeFunction::*;
        Some(match name {
            "rate" => Rate,
            "increase" => Increase,
            "delta" => Delta,
            "irate" => InstantRate,
            "idelta" => InstantDelta,
            "sum_over_time" => Sum,
            "avg_over_time" => Average,
            "min_over_time" => Min,
            "max_over_time" => Max,
            "count_over_time" => Count,
            "first_over_time" => First,
            "last_over_time" => Last,
            "present_over_time" => Present,
            "stddev_over_time" => Deviation,
            "stdvar_over_time" => Variance,
            "mad_over_time" => MedianDeviation,
            "quantile_over_time" => Quantile,
            "ts_of_first_over_time" => TimeOfFirst,
            "ts_of_last_over_time" => TimeOfLast,
            "ts_of_min_over_time" => TimeOfMin,
            "ts_of_max_over_time" => TimeOfMax,
            "changes" => Changes,
            "resets" => Resets,
            "deriv" => Derivative,
            "predict_linear" => PredictLinear,
            "double_exponential_smoothing" => DoubleExponential,
            _ => return None,
        })
    }

    /// Whether the value still is one of the metric, so that its name stays.
    pub fn keeps_name(self) -> bool {
        matches!(self, RangeFunction::First | RangeFunction::Last)
    }

    /// Whether the value depends on the step's time and not on the window alone.
    pub fn sees_step_time(self) -> bool {
        self == RangeFunction::PredictLinear
    }

    /// Whether the samples should come from a counter.
    pub fn wants_counter(self) -> bool {
        matches!(self, RangeFunction::Rate | RangeFunction::Increase)
    }
}

/// A function of one value (and of parameters that are scalars).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapFunction {
    Negate,
    Abs,
    Ceil,
    Floor,
    Exp,
    Sqrt,
    Ln,
    Log2,
    Log10,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Degrees,
    Radians,
    Sign,
    /// To the nearest multiple of its parameter.
    Round,
    Clamp,
    ClampMin,
    ClampMax,
    Date(DateFunction),
    /// The time of the step, in seconds: `timestamp()` of anything but a selector.
    StepTime,
}

impl MapFunction {
    /// The function of that name, where it takes a vector first and scalars after it.
    pub fn named(name: &str) -> Option<Self> {
        use MapFunction::*;
        Some(match name {
            "abs" => Abs,
            "ceil" => Ceil,
            "floor" => Floor,
            "exp" => Exp,
            "sqrt" => Sqrt,
            "ln" => Ln,
            "log2" => Log2,
            "log10" => Log10,
            "sin" => Sin,
            "cos" => Cos,
            "tan" => Tan,
            "asin" => Asin,
            "acos" => Acos,
            "atan" => Atan,
            "sinh" => Sinh,
            "cosh" => Cosh,
            "tanh" => Tanh,
            "asinh" => Asinh,
            "acosh" => Acosh,
            "atanh" => Atanh,
            "deg" => Degrees,
            "rad" => Radians,
            "sgn" => Sign,
            "round" => Round,
            "clamp" => Clamp,
            "clamp_min" => ClampMin,
            "clamp_max" => ClampMax,
            _ => return DateFunction::named(name).map(Date),
        })
    }
}

/// A part of the UTC calendar date that a value, taken as seconds since the Unix epoch, falls on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateFunction {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

impl DateFunction {
    /// The function of that name.
    pub fn named(name: &str) -> Option<Self> {
        use DateFunction::*;
        Some(match name {
            "minute" => Minute,
            "hour" => Hour,
            "day_of_week" => DayOfWeek,
            "day_of_month" => DayOfMonth,
            "day_of_year" => DayOfYear,
            "days_in_month" => DaysInMonth,
            "month" => Month,
            "year" => Year,
            _ => return None,
        })
    }
}
